import asyncio

import pytest
from nats.errors import ConnectionClosedError

from lean_lite.data.engine.calls import PendingCalls
from lean_lite.errors import BusUnavailable, StackError


async def work(seconds: float, error: Exception | None = None) -> str:
    try:
        await asyncio.sleep(seconds)
    finally:
        if error is not None:
            raise error
    return "done"


async def test_run_returns_the_result_or_raises_the_error_of_its_work() -> None:
    calls = PendingCalls()
    assert await calls.run(work(0)) == "done"
    with pytest.raises(ValueError, match="wrong"):
        await calls.run(work(0, ValueError("wrong")))
    await calls.stop()


async def test_an_error_of_the_bus_library_becomes_bus_unavailable() -> None:
    with pytest.raises(BusUnavailable, match="nats: connection closed; try again"):
        await PendingCalls().run(work(0, ConnectionClosedError()))


@pytest.mark.parametrize("error", [None, ConnectionClosedError()])
async def test_a_stop_ends_a_pending_call_with_an_error_that_names_engine_start(
    error: Exception | None,
) -> None:
    calls = PendingCalls()
    caller = asyncio.create_task(calls.run(work(60, error)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await calls.stop()
    with pytest.raises(StackError, match=r"await engine\.start"):
        await caller


async def test_work_is_cancelled_with_its_caller() -> None:
    calls = PendingCalls()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(calls.run(work(60)), 0.01)
    caller = asyncio.create_task(calls.run(work(60)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(calls.stop())
    caller.cancel()
    await stopping
    with pytest.raises(asyncio.CancelledError):
        await caller
