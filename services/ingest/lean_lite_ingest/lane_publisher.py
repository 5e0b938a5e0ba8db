"""
What waits for the bus, one queue per lane.

While a frame is on its way the next one gathers; there is no timer. Every frame says how far the
lane is complete: that is where a successor asks Alpaca again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from lean_lite.blocks import Block, Origin, empty_block, encode_block
from lean_lite.bus import Bus, FencedPublisher, Lease
from lean_lite.protocol import subjects
from lean_lite.protocol.headers import COMPLETE, COVERS, WALL, CoveredSpan
from lean_lite.protocol.partitions import Lane
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.rows import Row, to_block

FRAME_ROWS = 1_024


class LanePublisher:
    """Own one lane of RAW and publish its rows in the order they came."""

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
        """Own nothing before `take_over`."""
        self._feed = feed
        self._lane = lane
        self._clock = clock
        self._bound = bound
        self._simulated = simulated
        self._on_hole = on_gap
        self._output = FencedPublisher(bus, subjects.RAW, subjects.raw(feed, lane), lease)
        self._rows: deque[Row] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._overflowed = False
        self._frozen = True
        self.complete_ns: int | None = None

    async def take_over(self) -> None:
        """Fence the earlier owner off and learn how far the lane is complete."""
        last = await self._output.take_over(encode_block(self._empty_frame()), keep=(COMPLETE,))
        if COMPLETE in last.headers:
            self.complete_ns = int(last.headers[COMPLETE])

    def suspend_completeness(self) -> None:
        """Stop claiming completeness: bars may be missing from here on."""
        self._frozen = True

    def resume_completeness(self) -> None:
        """Claim completeness again: what was missing has been published."""
        self._frozen = False

    def complete_until(self, final_ns: int) -> int:
        """Return until when all bars are here, given that final ones come no more."""
        return (self.complete_ns or 0) if self._frozen else final_ns

    async def declare_complete(self, span: CoveredSpan) -> None:
        """Say in a frame without rows that a span is whole with what has been published."""
        await self.drain()
        async with self._turn:
            headers = {WALL: "0", COVERS: span.text, **self._complete()}
            await self._output.publish(encode_block(self._empty_frame()), headers)

    def put_nowait(self, row: Row) -> None:
        """Queue a live row; a full queue drops it and reports a hole once it has drained."""
        if len(self._rows) >= self._bound:
            counters.DROPPED.labels(self._feed).inc()
            self._overflowed = True
            self.suspend_completeness()
            return
        self._rows.append(row)
        self._filled.set()

    async def put(self, rows: Sequence[Row]) -> None:
        """Queue rows of a refill and return when all that is queued has been published."""
        for row in rows:
            while len(self._rows) >= self._bound:
                await self.drain()
            self._rows.append(row)
        self._filled.set()
        await self.drain()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._filled.wait()
            await self._clock.wait_synced()
            rows = tuple(islice(self._rows, FRAME_ROWS))
            async with self._turn:
                await self._publish(rows)
            for _ in rows:
                self._rows.popleft()
            if not self._rows:
                self._filled.clear()
                self._room.set()
                self._report_gap()

    async def _publish(self, rows: Sequence[Row]) -> None:
        block = to_block(rows, self._feed, self._clock, simulated=self._simulated)
        self._advance(rows)
        headers = {WALL: str(rows[0].wall_ns), **self._complete()}
        await self._output.publish(encode_block(block), headers)
        counters.PUBLISHED.labels(self._feed).inc(len(rows))
        counters.FRAMES.labels(self._feed).inc()

    def _complete(self) -> dict[str, str]:
        return {} if self.complete_ns is None else {COMPLETE: str(self.complete_ns)}

    def _advance(self, rows: Sequence[Row]) -> None:
        live = [row.start_ns for row in rows if row.origin == Origin.LIVE]
        if live and not self._frozen:
            self.complete_ns = max(self.complete_ns or 0, live[-1])

    def _empty_frame(self) -> Block:
        return empty_block(self._feed, simulated=self._simulated)

    def _report_gap(self) -> None:
        if self._overflowed:
            self._overflowed = False
            self._on_hole(self._lane)

    async def drain(self) -> None:
        """Return when all that is queued has been published."""
        self._room.clear()
        if self._rows:
            await self._room.wait()
