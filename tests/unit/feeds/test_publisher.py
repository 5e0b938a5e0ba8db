import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lean_lite.bus import Lease
from lean_lite.bus.lane_publisher import FRAME_ROWS
from lean_lite.errors import FeedError
from lean_lite.feeds.publisher import FeedPublisher
from lean_lite.model import Resolution
from lean_lite.protocol.headers import WALL
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import raw
from tests.harness.forex_feed import rate
from tests.harness.raw_stream import RawStream, StoredFrame

# Three symbols of three lanes.
A, B, C = "EUR/USD", "AAPL", "BTC/USD"
FEED = "forex"


def lease(epoch: int = 1) -> Lease:
    return Lease("feed.forex", epoch, 3600.0, requested_at=time.monotonic())


@asynccontextmanager
async def running(publisher: FeedPublisher, epoch: int = 1) -> AsyncIterator[None]:
    run = asyncio.create_task(publisher.run(lease(epoch)))
    try:
        yield
    finally:
        run.cancel()
        await asyncio.wait([run])
        assert run.cancelled()


def frames_of(stream: RawStream, symbol: str) -> list[StoredFrame]:
    subject = raw(FEED, lane_of(symbol))
    return [frame for frame in stream.frames if frame.subject == subject]


async def test_each_lane_has_a_marker_and_then_its_bars_in_order() -> None:
    stream = RawStream()
    publisher = FeedPublisher(stream.bus, FEED, bound=16)
    for number in range(9):
        await publisher.put(rate(number, (A, B, C)[number % 3]))
    assert len(publisher) == 9
    async with running(publisher):
        await publisher.drain(5.0)
    assert (len(publisher), publisher.published, stream.rows) == (0, 9, 9)
    assert len({frame.subject for frame in stream.frames}) == 3
    for index, symbol in enumerate((A, B, C)):
        marker, frame = frames_of(stream, symbol)
        assert (marker.is_marker, len(marker.block)) == (True, 0)
        closes = [rate(number).close for number in range(index, 9, 3)]
        assert frame.block["close"].tolist() == closes
        assert int(frame.headers[WALL]) == frame.block["received_ns"][0]


async def test_a_frame_holds_one_resolution_and_bounded_rows() -> None:
    stream = RawStream()
    publisher = FeedPublisher(stream.bus, FEED, bound=4_096)
    resolutions = [Resolution.MINUTE] * 2 + [Resolution.HOUR] * 3 + [Resolution.MINUTE] * 2_000
    for number, resolution in enumerate(resolutions):
        await publisher.put(rate(number, resolution=resolution))
    async with running(publisher):
        await publisher.drain(5.0)
    frames = [frame.block for frame in stream.frames if not frame.is_marker]
    assert [len(block) for block in frames] == [2, 3, FRAME_ROWS - 5, 2_005 - FRAME_ROWS]
    assert [block.resolution for block in frames[:3]] == [
        Resolution.MINUTE,
        Resolution.HOUR,
        Resolution.MINUTE,
    ]


async def test_the_bound_counts_the_bars_of_all_lanes() -> None:
    stream = RawStream(request_timeout_s=0.05)
    publisher = FeedPublisher(stream.bus, FEED, bound=3)
    for number, symbol in enumerate((A, B, C)):
        await publisher.put(rate(number, symbol))
    with pytest.raises(
        FeedError, match=r"has 3 bars queued and could not publish .* within 0.05 s"
    ):
        await publisher.put(rate(3, A))
    assert len(publisher) == 3
    async with running(publisher):
        await publisher.put(rate(4, A))
        await publisher.drain(5.0)
    assert stream.rows == 4


async def test_unacknowledged_bars_are_published_under_the_next_lease() -> None:
    stream = RawStream()
    publisher = FeedPublisher(stream.bus, FEED, bound=8)
    async with running(publisher):
        await publisher.put(rate(0))
        await publisher.drain(5.0)
        stream.running.clear()
        await publisher.put(rate(1))
        await asyncio.sleep(0.01)
    assert len(publisher) == 1
    stream.running.set()
    async with running(publisher, epoch=2):
        await publisher.drain(5.0)
    assert [frame.is_marker for frame in stream.frames] == [True, False, True, False]
    assert [frame.block["close"].tolist() for frame in stream.frames if not frame.is_marker] == [
        [rate(0).close],
        [rate(1).close],
    ]


async def test_drain_times_out_while_no_publisher_runs() -> None:
    publisher = FeedPublisher(RawStream().bus, FEED, bound=8)
    await publisher.drain(0.01)
    await publisher.put(rate(0))
    with pytest.raises(FeedError, match="another process runs this feed"):
        await publisher.drain(0.01)


async def test_an_invalid_bar_is_refused_and_not_queued() -> None:
    publisher = FeedPublisher(RawStream().bus, FEED, bound=8)
    with pytest.raises(FeedError, match="its symbol is empty"):
        await publisher.put(rate(0, ""))
    with pytest.raises(FeedError, match="can't be published"):
        await publisher.put("EUR/USD")  # type: ignore[arg-type]
    assert len(publisher) == 0
