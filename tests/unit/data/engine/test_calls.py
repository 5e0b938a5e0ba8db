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


async def test_work_returns_and_raises_as_if_it_were_awaited() -> None:
    errands = PendingCalls()
    assert await errands.run(work(0)) == "done"
    with pytest.raises(ValueError, match="wrong"):
        await errands.run(work(0, ValueError("wrong")))
    await errands.stop()


async def test_what_the_bus_raises_is_one_of_our_errors() -> None:
    with pytest.raises(BusUnavailable, match="nats: connection closed; try it again"):
        await PendingCalls().run(work(0, ConnectionClosedError()))


@pytest.mark.parametrize("error", [None, ConnectionClosedError()])
async def test_a_stop_ends_work_with_an_error_that_names_the_way_out(
    error: Exception | None,
) -> None:
    errands = PendingCalls()
    caller = asyncio.create_task(errands.run(work(60, error)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await errands.stop()
    with pytest.raises(StackError, match=r"await engine\.start"):
        await caller


async def test_a_caller_who_is_cancelled_takes_the_work_with_him() -> None:
    errands = PendingCalls()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(errands.run(work(60)), 0.01)
    caller = asyncio.create_task(errands.run(work(60)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(errands.stop())
    caller.cancel()
    await stopping
    with pytest.raises(asyncio.CancelledError):
        await caller
