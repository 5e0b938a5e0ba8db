"""
LanePublisher: publish the queued rows of one lane of RAW, as its only owner.

There is no timer: while a frame is unacknowledged, the rows of the next one gather in the queue.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from lean_lite.blocks import Block, empty_block, encode_block
from lean_lite.bus.connection import Bus
from lean_lite.bus.leases import Lease
from lean_lite.bus.publisher import FencedPublisher, LastFrame
from lean_lite.protocol import subjects
from lean_lite.protocol.partitions import Lane
from lean_lite.queues import BoundedQueue

FRAME_ROWS = 1_024


class LaneFrame(NamedTuple):
    """Rows of a lane and the headers of their frame."""

    block: Block
    headers: Mapping[str, str]


class LanePublisher[Row](ABC):
    """
    Publisher of one lane of RAW under a lease.

    Call `take_over` before the first frame. Rows are published in the order of the queue, up to
    `FRAME_ROWS` in a frame, one unacknowledged frame at a time. They leave the queue when the
    server has acknowledged them: what a lost lease interrupts stays queued, and is published again
    under the next lease. A subclass makes frames of rows.
    """

    # Headers that the take-over copies from the former owner's last frame.
    carried_headers: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        bus: Bus,
        feed: str,
        lane: Lane,
        lease: Lease,
        queue: BoundedQueue[Row],
        *,
        simulated: bool = False,
    ) -> None:
        self._feed = feed
        self._queue = queue
        self._simulated = simulated
        self._output = FencedPublisher(bus, subjects.RAW, subjects.raw(feed, lane), lease)
        # Held from making a frame until its acknowledgement: its headers state facts about the
        # frames before it, which must be stored by then.
        self._lock = asyncio.Lock()

    async def take_over(self) -> LastFrame:
        """Fence the former owner off and return its last frame; see `FencedPublisher`."""
        marker = encode_block(self._empty_block())
        return await self._output.take_over(marker, keep=self.carried_headers)

    async def run(self) -> None:
        """Publish until cancelled. Errors are those of `FencedPublisher.publish`."""
        while True:
            await self._queue.peek(1)
            await self._prepare()
            rows = await self._queue.peek(FRAME_ROWS)
            async with self._lock:
                for frame in self._frames(rows):
                    await self._publish(frame)
            self._queue.remove(len(rows))
            self._on_acknowledged(rows)

    async def _publish(self, frame: LaneFrame) -> None:
        await self._output.publish(encode_block(frame.block), frame.headers)

    def _empty_block(self) -> Block:
        return empty_block(self._feed, simulated=self._simulated)

    @abstractmethod
    async def _prepare(self) -> None:
        """Wait for what the next frame needs; called while rows are queued, before it is made."""

    @abstractmethod
    def _frames(self, rows: Sequence[Row]) -> Iterator[LaneFrame]:
        """Make frames of rows; each is acknowledged before the next one is made."""

    @abstractmethod
    def _on_acknowledged(self, rows: Sequence[Row]) -> None:
        """Handle the acknowledgement of rows, which have just left the queue."""
