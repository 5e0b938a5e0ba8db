import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lean_lite.blocks import Origin
from lean_lite.bus import Lease
from lean_lite.model.timestamps import MINUTE_NS
from lean_lite.protocol.headers import COMPLETE, COVERS, WALL, CoveredSpan
from lean_lite.protocol.partitions import Lane, lane_of
from lean_lite_ingest.clock import WallClock
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row
from tests.harness.raw_stream import RawStream

SYMBOL = "AAPL"
LANE = lane_of(SYMBOL)
NOON_NS = 30_000_000 * MINUTE_NS


class Clock(WallClock):
    """A clock that a test synchronizes."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()

    async def wait_synced(self) -> None:
        await self.synced.wait()


class Publisher(IngestLanePublisher):
    def __init__(self, stream: RawStream, *, bound: int = 64) -> None:
        self.clock = Clock()
        self.gaps: list[Lane] = []
        super().__init__(
            stream.bus,
            "iex",
            LANE,
            Lease("ingest.alpaca", 1, 3600.0, requested_at=time.monotonic()),
            self.clock,
            bound=bound,
            simulated=False,
            on_gap=self.gaps.append,
        )


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    await publisher.take_over()
    run = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        run.cancel()
        await asyncio.wait([run])
        assert run.cancelled()


def row(number: int, origin: Origin = Origin.LIVE) -> Row:
    start_ns = NOON_NS + number * MINUTE_NS
    return Row(SYMBOL, start_ns, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, origin, 1_000 + number)


async def test_live_rows_advance_completeness_and_rows_of_filled_gaps_do_not() -> None:
    stream = RawStream()
    publisher = Publisher(stream)
    async with running(publisher):
        publisher.put_nowait(row(1))
        await publisher.drain()
        publisher.resume_completeness()
        publisher.put_nowait(row(2))
        await publisher.drain()
        await publisher.put([row(9, Origin.BACKFILL)])
        publisher.suspend_completeness()
        publisher.put_nowait(row(3))
        await publisher.drain()
    complete = [frame.headers.get(COMPLETE) for frame in stream.frames]
    second = str(row(2).start_ns)
    assert complete == [None, None, second, second, second]
    assert [frame.headers[WALL] for frame in stream.frames[1:]] == ["1001", "1002", "1009", "1003"]
    assert publisher.complete_until(NOON_NS * 2) == row(2).start_ns


async def test_a_successor_restores_how_far_the_lane_is_complete() -> None:
    stream = RawStream()
    publisher = Publisher(stream)
    async with running(publisher):
        publisher.resume_completeness()
        publisher.put_nowait(row(1))
        await publisher.drain()
    successor = Publisher(stream)
    await successor.take_over()
    assert successor.complete_ns == row(1).start_ns
    assert stream.frames[-1].is_marker
    assert stream.frames[-1].headers[COMPLETE] == str(row(1).start_ns)


async def test_a_full_queue_drops_live_rows_and_reports_a_gap_once_it_is_empty() -> None:
    stream = RawStream()
    publisher = Publisher(stream, bound=2)
    publisher.resume_completeness()
    for number in range(4):
        publisher.put_nowait(row(number))
    assert publisher.gaps == []
    async with running(publisher):
        await publisher.drain()
        await asyncio.sleep(0)
    assert stream.rows == 2
    assert publisher.gaps == [LANE]
    # Completeness is claimed again only when the gap has been filled.
    assert COMPLETE not in stream.frames[-1].headers


async def test_a_filled_gap_may_have_more_rows_than_the_queue_holds() -> None:
    stream = RawStream()
    publisher = Publisher(stream, bound=2)
    async with running(publisher), asyncio.timeout(5):
        await publisher.put([row(number, Origin.BACKFILL) for number in range(7)])
    assert stream.rows == 7
    assert publisher.gaps == []


async def test_a_span_is_declared_complete_after_the_queued_rows() -> None:
    stream = RawStream()
    publisher = Publisher(stream)
    span = CoveredSpan(NOON_NS, NOON_NS + 2 * MINUTE_NS, SYMBOL)
    publisher.put_nowait(row(0))
    publisher.put_nowait(row(1))
    declared = asyncio.create_task(publisher.declare_complete(span))
    await asyncio.sleep(0)
    async with running(publisher):
        await declared
    _, rows, empty = stream.frames
    assert (len(rows.block), len(empty.block)) == (2, 0)
    assert empty.headers[COVERS] == span.text
    assert empty.headers[WALL] == "0"


async def test_nothing_is_published_before_the_clock_is_set() -> None:
    stream = RawStream()
    publisher = Publisher(stream)
    publisher.clock.synced.clear()
    async with running(publisher):
        publisher.put_nowait(row(0))
        await asyncio.sleep(0.01)
        publisher.put_nowait(row(1))
        assert stream.rows == 0
        publisher.clock.synced.set()
        await publisher.drain()
    assert [len(frame.block) for frame in stream.frames] == [0, 2]
