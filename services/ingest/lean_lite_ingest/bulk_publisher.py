"""History on its way to the bus: one lane of BULK_RAW, never far ahead of those who read it."""

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
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.rows import Row, to_block

FRAME_ROWS = 4_096
AHEAD_FRAMES = 8
AHEAD_S = 30.0


class BulkPublisher:
    """Publish history of one lane, a span at a time."""

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
        """Own nothing before the first span."""
        self._feed = feed
        self._lane = str(lane)
        self._clock = clock
        self._slowest = slowest
        self._simulated = simulated
        subject = subjects.bulk_raw(feed, lane)
        self._output = FencedPublisher(bus, subjects.BULK_RAW, subject, lease)
        self._owned = False
        self._ahead: deque[int] = deque()
        self._turn = asyncio.Lock()

    async def publish(self, rows: Sequence[Row], span: CoveredSpan, resolution: Resolution) -> None:
        """
        Publish all the bars that a span has, and say with the last frame that it is whole.

        FeedUnavailable when those who read are not there, or too slow.
        """
        async with self._turn:
            if not self._owned:
                await self._output.take_over(encode_block(self._empty_frame(resolution)))
                self._owned = True
            frames = [*batched(rows, FRAME_ROWS)] or [()]
            for index, part in enumerate(frames, 1):
                await self._wait_for_room()
                await self._send(part, resolution, span if index == len(frames) else None)

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
        self._ahead.append(await self._output.publish(encode_block(block), headers))
        counters.BULK.labels(self._feed).inc(len(rows))

    async def _wait_for_room(self) -> None:
        """Wait until few enough frames are on their way."""
        while len(self._ahead) >= AHEAD_FRAMES:
            try:
                async with asyncio.timeout(AHEAD_S):
                    await self._slowest.wait_for(self._lane, self._ahead[0])
            except TimeoutError:
                message = (
                    f"history was not taken from the bus within {AHEAD_S:g} s: "
                    "are validate and store at work?"
                )
                raise FeedUnavailable(message) from None
            self._ahead.popleft()

    def _empty_frame(self, resolution: Resolution) -> Block:
        return empty_block(self._feed, resolution=resolution, simulated=self._simulated)
