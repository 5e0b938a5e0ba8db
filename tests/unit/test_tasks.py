import asyncio

import pytest

from lean_lite.tasks import stop_all


async def test_one_that_fails_or_hangs_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def well() -> None:
        await asyncio.sleep(0.01)
        ended.append("well")

    async def badly() -> None:
        message = "the line is down"
        raise OSError(message)

    async def never() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    await stop_all([badly(), never(), well()], 0.2)
    assert ended == ["well", "cancelled"]
    assert caplog.messages == [
        "not ended in order: the line is down",
        "1 of 3 were not ended within 0.2 s",
    ]
    await stop_all([], 0.2)
