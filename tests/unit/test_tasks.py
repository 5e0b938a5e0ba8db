import asyncio

import pytest

from lean_lite.tasks import finish, is_being_cancelled, stop_all


async def test_work_is_finished_before_a_cancellation_is_raised() -> None:
    finished: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        finished.append("work")

    caller = asyncio.create_task(finish(work()))
    for _ in range(2):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert finished == ["work"]


async def test_the_result_and_the_error_of_finished_work_are_passed_on() -> None:
    async def fail() -> None:
        message = "the line is down"
        raise OSError(message)

    assert await finish(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(OSError, match="the line is down"):
        await finish(fail())


async def test_a_cancelled_future_is_not_a_cancellation_of_the_task_that_awaits_it() -> None:
    async def wait_for(future: asyncio.Future[None]) -> bool:
        try:
            await future
        except asyncio.CancelledError:
            return is_being_cancelled()
        raise AssertionError

    future = asyncio.get_running_loop().create_future()
    future.cancel()
    assert await wait_for(future) is False
    task = asyncio.create_task(wait_for(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task is True


async def test_a_stop_that_fails_or_hangs_does_not_keep_the_others_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopped: list[str] = []

    async def succeed() -> None:
        await asyncio.sleep(0.01)
        stopped.append("succeeded")

    async def fail() -> None:
        message = "the line is down"
        raise OSError(message)

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("cancelled")

    await stop_all([fail(), hang(), succeed()], 0.2)
    assert stopped == ["succeeded", "cancelled"]
    assert caplog.messages == [
        "failed to stop cleanly: the line is down",
        "1 of 3 did not stop within 0.2 s",
    ]
    await stop_all([], 0.2)
