"""
IngestLanePublisher: publish live bars and bars of filled gaps, and how far the lane is complete.

Every frame has the time until which the lane is complete; a new owner fetches later bars by REST.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from lean_lite.blocks import Origin
from lean_lite.bus import Bus, Lease
from lean_lite.bus.lane_publisher import LaneFrame, LanePublisher
from lean_lite.bus.publisher import LastFrame
from lean_lite.protocol.headers import COMPLETE, COVERS, WALL, CoveredSpan
from lean_lite.protocol.partitions import Lane
from lean_lite.queues import BoundedQueue
from lean_lite_ingest import metrics
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.rows import Row, to_block


class IngestLanePublisher(LanePublisher[Row]):
    """
    Publisher of one lane of an account's feed.

    `complete_ns` is the start of the newest bar up to which no bar of the lane is missing.
    `on_gap` is called once the queue is empty again after rows were dropped.
    """

    carried_headers: ClassVar = (COMPLETE,)

    def __init__(
        self,
        bus: Bus,
        feed: str,
        lane: Lane,
        lease: Lease,
        clock: FeedClock,
        *,
        bound: int,
        simulated: bool,
        on_gap: Callable[[Lane], None],
    ) -> None:
        queue: BoundedQueue[Row] = BoundedQueue(bound)
        super().__init__(bus, feed, lane, lease, queue, simulated=simulated)
        self._lane = lane
        self._clock = clock
        self._on_gap = on_gap
        self._overflowed = False
        self._suspended = True
        self.complete_ns: int | None = None

    async def take_over(self) -> LastFrame:
        """Fence the former owner off and restore how far the lane is complete."""
        last = await super().take_over()
        if COMPLETE in last.headers:
            self.complete_ns = int(last.headers[COMPLETE])
        return last

    def suspend_completeness(self) -> None:
        """Stop declaring bars complete: bars may be missing from here on."""
        self._suspended = True

    def resume_completeness(self) -> None:
        """Declare bars complete again: the missing ones have been published."""
        self._suspended = False

    def complete_until(self, final_ns: int) -> int:
        """Return until when no bar is missing, given that bars before `final_ns` are final."""
        return (self.complete_ns or 0) if self._suspended else final_ns

    async def declare_complete(self, span: CoveredSpan) -> None:
        """Publish an empty frame after all queued rows, which declares a span complete."""
        await self.drain()
        async with self._lock:
            headers = {WALL: "0", COVERS: span.text, **self._completeness()}
            await self._publish(LaneFrame(self._empty_block(), headers))

    def put_nowait(self, row: Row) -> None:
        """Queue a live row; if the queue is full, drop it and report a gap later."""
        if not self._queue.put_nowait(row):
            metrics.DROPPED.labels(self._feed).inc()
            self._overflowed = True
            self.suspend_completeness()

    async def put(self, rows: Sequence[Row]) -> None:
        """Queue rows of a filled gap and wait until they are published."""
        for row in rows:
            # A full queue is drained before it gets more: refilling each free slot would leave no
            # room for live rows, which cannot wait.
            while not self._queue.put_nowait(row):
                await self.drain()
        await self.drain()

    async def drain(self) -> None:
        """Wait until all queued rows are published."""
        await self._queue.drain()

    async def _prepare(self) -> None:
        # A row's time by the feed's clock is part of its frame.
        await self._clock.wait_synced()

    def _frames(self, rows: Sequence[Row]) -> Iterator[LaneFrame]:
        block = to_block(rows, self._feed, self._clock, simulated=self._simulated)
        self._advance(rows)
        yield LaneFrame(block, {WALL: str(rows[0].wall_ns), **self._completeness()})

    def _on_acknowledged(self, rows: Sequence[Row]) -> None:
        metrics.PUBLISHED.labels(self._feed).inc(len(rows))
        metrics.FRAMES.labels(self._feed).inc()
        # Only when the queue is empty: filling a gap into a full queue would cause the next gap.
        if self._overflowed and not len(self._queue):
            self._overflowed = False
            self._on_gap(self._lane)

    def _completeness(self) -> dict[str, str]:
        return {} if self.complete_ns is None else {COMPLETE: str(self.complete_ns)}

    def _advance(self, rows: Sequence[Row]) -> None:
        """Advance `complete_ns` to the last live row; rows of filled gaps are older."""
        live = [row.start_ns for row in rows if row.origin == Origin.LIVE]
        if live and not self._suspended:
            self.complete_ns = max(self.complete_ns or 0, live[-1])
