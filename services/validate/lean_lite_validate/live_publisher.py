"""Live records and watermarks of a lane, published once GRADED has acknowledged a frame."""

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
    Publisher of one lane's live records: one message for each bar.

    The records of a frame are followed by its watermark, which names the frame before: a client
    that has not received that one requests it from the store. An idle lane repeats its watermark
    every `repeat_s` seconds, because core NATS may lose messages. Nothing is published without the
    lease.
    """

    def __init__(self, bus: Bus, lane: Lane, lease: Lease, repeat_s: float) -> None:
        self._bus = bus
        self._lane = lane
        self._lease = lease
        self._repeat_s = repeat_s
        self._watermark = Watermark(0, 0)
        self._sent_at = 0.0

    async def publish(self, block: Block, seq: int, prev_seq: int, wall_ns: int) -> None:
        """Publish the rows of a graded frame, without repeats, and then its watermark."""
        rows: Counter[str] = Counter()
        for bar in live_bars(block.take(~block.is_repeat), seq=seq, wall_ns=wall_ns):
            if not self._lease.held:
                return
            if not bar.is_valid:
                await self._bus.publish_message(subjects.live_invalid(bar.symbol), bar)
                continue
            rows[bar.symbol] += 1
            await self._bus.publish_message(subjects.live_bar(bar.symbol), bar)
        await self.publish_watermark(seq, prev_seq, rows)

    async def publish_watermark(
        self, seq: int, prev_seq: int, rows: Mapping[str, int] = NO_ROWS
    ) -> None:
        """Publish that all records up to a frame are published, and its count per symbol."""
        self._watermark = Watermark(seq, prev_seq, dict(rows))
        await self._send_watermark()

    async def run(self) -> None:
        """Repeat the watermark of an idle lane until cancelled."""
        while True:
            await asyncio.sleep(self._repeat_s)
            if time.monotonic() - self._sent_at >= self._repeat_s:
                await self._send_watermark()

    async def _send_watermark(self) -> None:
        if self._lease.held:
            self._sent_at = time.monotonic()
            await self._bus.publish_message(subjects.watermark(self._lane), self._watermark)
