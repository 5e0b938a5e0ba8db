"""A bar stream starts with its first request and ends when its reader closes or drops it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import pytest

from lean_lite.data import BarStream
from lean_lite.data.history.client import HistorySnapshot
from lean_lite.data.live import Live
from lean_lite.data.streams.reader import BarReader
from lean_lite.data.streams.start_positions import StartPositions
from tests.harness.memory_bus import MemoryBus
from tests.harness.waiting import until

OpenStream = Callable[[], BarStream]


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def open_stream(bus: MemoryBus) -> OpenStream:
    async def open_live(after: Mapping[str, int] | None) -> Live:
        live = Live(bus.bus, ["SPY"], after={})
        await live.start()
        return live

    async def no_history(
        symbols: Iterable[str], start_ns: int, min_seq: Mapping[str, int]
    ) -> AsyncIterator[HistorySnapshot]:
        for page in list[HistorySnapshot]():
            yield page

    def open_stream() -> BarStream:
        positions = StartPositions(["SPY"], None)
        return BarStream(BarReader(open_live, no_history, positions, "first", None))

    return open_stream


async def publish(bus: MemoryBus, *seqs: int) -> None:
    await until(lambda: bus.subscribed, "the subscription")
    await bus.publish_frames(*seqs)


async def test_a_stream_subscribes_with_the_first_request(
    bus: MemoryBus, open_stream: OpenStream
) -> None:
    async with open_stream() as stream:
        with pytest.raises(LookupError, match="no bar was read yet"):
            _ = stream.record
        assert bus.subscribed == []
        publishing = asyncio.create_task(publish(bus, 1, 2))
        bars = [await anext(stream) for _ in range(2)]
        assert bars == [bus.record(1).bar(), bus.record(2).bar()]
        assert (stream.record, stream.gaps) == (bus.record(2), [])
        await publishing
    assert bus.subscribed == []
    await stream.aclose()


async def test_cancelled_waiting_loses_no_bar(bus: MemoryBus, open_stream: OpenStream) -> None:
    async with open_stream() as stream:
        for seq in range(1, 4):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.02)
            await publish(bus, seq)
            assert await anext(stream) == bus.record(seq).bar()


async def test_a_garbage_collected_stream_unsubscribes(
    bus: MemoryBus, open_stream: OpenStream
) -> None:
    publishing = asyncio.create_task(publish(bus, 1, 2, 3))
    async for _ in open_stream():
        break
    await publishing
    gc.collect()
    await until(lambda: not bus.subscribed, "the end of the subscription")
    tasks = [task.get_name() for task in asyncio.all_tasks()]
    assert "read bars" not in tasks


def test_a_stream_collected_after_the_end_of_its_event_loop_is_no_error(
    bus: MemoryBus, open_stream: OpenStream
) -> None:
    async def first() -> BarStream:
        stream = open_stream()
        publishing = asyncio.create_task(publish(bus, 1))
        await anext(stream)
        await publishing
        return stream

    stream = asyncio.run(first())
    del stream
    gc.collect()
