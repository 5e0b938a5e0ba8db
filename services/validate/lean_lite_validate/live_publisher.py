"""Tell strategies of graded bars, one message each, after GRADED has acknowledged the frame."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from lean_lite.blocks import Block
from lean_lite.bus import Bus, Lease
from lean_lite.protocol import subjects
from lean_lite.protocol.live import Watermark, live_bars
from lean_lite.protocol.partitions import Lane

NO_ROWS: Mapping[str, int] = MappingProxyType({})


class LivePublisher:
    """
    Publish the live records of one lane.

    After the records of a frame comes its head, which names the frame before: a reader who has
    not seen that one asks the store. An idle lane repeats its head.
    """

    def __init__(self, bus: Bus, lane: Lane, lease: Lease, every_s: float) -> None:
        """Publish under a lease: a former owner falls silent."""
        self._bus = bus
        self._lane = lane
        self._lease = lease
        self._every_s = every_s
        self._head = Watermark(0, 0)
        self._sent_at = 0.0

    def on_graded(self, raw_seq: int) -> None:
        """Do nothing: live readers follow the heads."""

    async def on_rows(self, block: Block, seq: int, prev_seq: int, wall_ns: int) -> None:
        """Publish the rows of a graded frame, repeats excluded, and then its head."""
        rows: Counter[str] = Counter()
        for bar in live_bars(block.take(~block.is_repeat), seq=seq, wall_ns=wall_ns):
            if not self._lease.held:
                return
            if not bar.is_valid:
                await self._bus.publish_message(subjects.live_invalid(bar.symbol), bar)
                continue
            rows[bar.symbol] += 1
            await self._bus.publish_message(subjects.live_bar(bar.symbol), bar)
        await self.on_watermark(seq, prev_seq, rows)

    async def on_watermark(
        self, seq: int, prev_seq: int, rows: Mapping[str, int] = NO_ROWS
    ) -> None:
        """Say that everything up to a frame has been published, and what the frame held."""
        self._head = Watermark(seq, prev_seq, dict(rows))
        await self._send_watermark()

    async def repeat_watermarks(self) -> None:
        """Repeat the head of an idle lane until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            if time.monotonic() - self._sent_at >= self._every_s:
                await self._send_watermark()

    async def _send_watermark(self) -> None:
        if self._lease.held:
            self._sent_at = time.monotonic()
            await self._bus.publish_message(subjects.watermark(self._lane), self._head)
