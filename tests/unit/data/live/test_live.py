"""A live stream starts, recovers what the bus loses, and ends, without a server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lean_lite.data.live import Live
from lean_lite.data.live.queue import BarQueue
from lean_lite.errors import StackError
from tests.harness.memory_bus import MemoryBus
from tests.harness.waiting import until


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
async def live(bus: MemoryBus) -> AsyncIterator[Live]:
    async with Live(bus.bus, ["SPY"], after={}) as started:
        yield started


async def take(live: Live, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(live)).seq for _ in range(count)]


async def drain(live: Live) -> list[int]:
    async with asyncio.timeout(5):
        return [record.seq async for record in live]


async def test_a_stream_starts_at_the_end_of_its_lane_unless_it_resumes(bus: MemoryBus) -> None:
    await bus.publish_frames(1, 2, 3)
    async with Live(bus.bus, ["SPY"]) as new, Live(bus.bus, ["SPY"], after={"equity.8": 9}) as old:
        lane = str(bus.lane)
        assert new.baseline == {lane: 3}
        await bus.publish_frames(4)
        assert await take(new, 1) == [4]
        assert (new.done, new.source("SPY"), old.accepted) == ({lane: 4}, "iex", ("SPY",))


async def test_frames_lost_on_the_bus_are_fetched_from_the_store(
    bus: MemoryBus, live: Live
) -> None:
    await bus.publish_frames(1)
    for seq in (2, 3):
        bus.lose(seq)
    await bus.publish_frames(4)
    assert live._recovery.lanes == (bus.lane,)
    assert await take(live, 4) == [1, 2, 3, 4]
    assert (live.delivered, live.refetched) == (4, 3)
    await until(lambda: not live._recovery.lanes, "the end of the recovery")


async def test_nothing_is_fetched_while_the_queue_is_full(bus: MemoryBus) -> None:
    async with Live(bus.bus, ["SPY"], after={}, queue=2) as live:
        await bus.publish_frames(1, 2)
        bus.lose(3)
        await bus.publish_frames(4)
        await asyncio.sleep(0.6)
        assert (live.behind, bus.requests) == (2, [])
        assert await take(live, 4) == [1, 2, 3, 4]
        assert live.refetched == 2


async def test_a_stop_ends_the_subscriptions_and_the_iteration(bus: MemoryBus, live: Live) -> None:
    await bus.publish_frames(1)
    assert await take(live, 1) == [1]
    await live.stop()
    await live.stop()
    assert (bus.subscribed, live.stopped) == ([], True)
    assert await drain(live) == []


async def test_a_started_stream_is_not_started_again(bus: MemoryBus, live: Live) -> None:
    subscribed, tasks = list(bus.subscribed), asyncio.all_tasks()
    # As in `async with await engine.live(...)`: the engine returns it started.
    async with live:
        assert (bus.subscribed, asyncio.all_tasks()) == (subscribed, tasks)


async def test_a_stop_during_a_recovery_cancels_it(bus: MemoryBus, live: Live) -> None:
    bus.lose(1)
    await bus.publish_frames(2)
    await live.stop()
    assert (live._recovery.lanes, bus.requests) == ((), [])


async def test_redirected_records_come_through_the_shared_queue_in_order(
    bus: MemoryBus, live: Live
) -> None:
    shared = BarQueue()
    await bus.publish_frames(1, 2)
    live.redirect(shared)
    await bus.publish_frames(3)
    assert [record.seq for record in await shared.get(9)] == [1, 2, 3]
    await live.stop()
    with pytest.raises(StackError, match="the stream was stopped"):
        live.redirect(shared)


async def test_queued_records_are_read_before_the_error_of_a_lost_stack(
    bus: MemoryBus, live: Live
) -> None:
    await bus.publish_frames(1, 2)
    live.fail(StackError("the stack is lost"))
    await bus.publish_frames(3)
    assert await take(live, 2) == [1, 2]
    with pytest.raises(StackError, match="the stack is lost"):
        await anext(live)
    assert await drain(live) == []
