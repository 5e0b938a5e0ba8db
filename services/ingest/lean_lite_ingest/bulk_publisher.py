"""BulkPublisher: publish history of one lane to BULK_RAW, with back-pressure."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import batched

from lean_lite.blocks import Block, empty_block, encode_block
from lean_lite.bus import Bus, FencedPublisher, Lease, SlowestConsumer
from lean_lite.errors import FeedUnavailable
from lean_lite.model import Resolution
from lean_lite.protocol import subjects
from lean_lite.protocol.headers import COVERS, WALL, CoveredSpan
from lean_lite.protocol.partitions import Lane
from lean_lite_ingest import metrics
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.rows import Row, to_block

FRAME_ROWS = 4_096
# Frames that the slowest consumer has not handled yet. BULK_RAW is bounded in bytes and drops its
# oldest frames: a publisher that runs ahead would lose history before it is stored.
MAX_UNHANDLED_FRAMES = 8
AHEAD_TIMEOUT_S = 30.0


class BulkPublisher:
    """Publisher of the history of one lane; takes the lane over with its first span."""

    def __init__(
        self,
        bus: Bus,
        feed: str,
        lane: Lane,
        lease: Lease,
        *,
        clock: FeedClock,
        slowest: SlowestConsumer,
        simulated: bool,
    ) -> None:
        self._feed = feed
        self._lane = str(lane)
        self._clock = clock
        self._slowest = slowest
        self._simulated = simulated
        subject = subjects.bulk_raw(feed, lane)
        self._output = FencedPublisher(bus, subjects.BULK_RAW, subject, lease)
        self._owned = False
        self._unhandled: deque[int] = deque()  # sequences of unhandled frames
        self._lock = asyncio.Lock()

    async def publish(self, rows: Sequence[Row], span: CoveredSpan, resolution: Resolution) -> None:
        """
        Publish all bars of a span; the last frame says that the span is complete.

        FeedUnavailable when validate or store is not running, or too slow.
        """
        # Backfills run concurrently, but a fenced subject has one unacknowledged frame at a time.
        async with self._lock:
            if not self._owned:
                await self._output.take_over(encode_block(self._empty_frame(resolution)))
                self._owned = True
            frames = [*batched(rows, FRAME_ROWS)] or [()]
            for index, frame_rows in enumerate(frames, 1):
                await self._wait_for_room()
                await self._send(frame_rows, resolution, span if index == len(frames) else None)

    async def _send(
        self, rows: Sequence[Row], resolution: Resolution, span: CoveredSpan | None
    ) -> None:
        block = (
            to_block(rows, self._feed, self._clock, resolution, simulated=self._simulated)
            if rows
            else self._empty_frame(resolution)
        )
        headers = {WALL: str(rows[0].wall_ns if rows else 0)}
        if span is not None:
            headers[COVERS] = span.text
        self._unhandled.append(await self._output.publish(encode_block(block), headers))
        metrics.BULK.labels(self._feed).inc(len(rows))

    async def _wait_for_room(self) -> None:
        """Wait until the slowest consumer is fewer than `MAX_UNHANDLED_FRAMES` behind."""
        while len(self._unhandled) >= MAX_UNHANDLED_FRAMES:
            try:
                async with asyncio.timeout(AHEAD_TIMEOUT_S):
                    await self._slowest.wait_for(self._lane, self._unhandled[0])
            except TimeoutError:
                message = (
                    f"no consumer read the history on the bus within {AHEAD_TIMEOUT_S:g} s: "
                    "are validate and store running?"
                )
                raise FeedUnavailable(message) from None
            self._unhandled.popleft()

    def _empty_frame(self, resolution: Resolution) -> Block:
        return empty_block(self._feed, resolution=resolution, simulated=self._simulated)
