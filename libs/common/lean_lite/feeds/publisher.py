"""FeedPublisher: check and queue the bars of a user's feed, and publish them to RAW."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from lean_lite.blocks import from_bars
from lean_lite.bus import Bus, Lease
from lean_lite.bus.lane_publisher import LaneFrame, LanePublisher
from lean_lite.errors import FeedError
from lean_lite.model import TradeBar
from lean_lite.protocol.headers import WALL
from lean_lite.protocol.partitions import PARTITIONS, Lane, lane_of, lanes_of_partition
from lean_lite.queues import BoundedQueue


class QueuedBar(NamedTuple):
    """A bar and when the feed published it, by this machine's clock."""

    bar: TradeBar
    received_ns: int


class FeedPublisher:
    """
    Bounded queues of a feed's bars, one for each lane, and their publishers.

    `bound` limits the bars of all lanes together. The queues outlive a lease: bars that were not
    acknowledged under one are published under the next.
    """

    def __init__(self, bus: Bus, feed: str, *, bound: int) -> None:
        self._bus = bus
        self._feed = feed
        self._room = asyncio.Semaphore(bound)
        self._queues: dict[Lane, BoundedQueue[QueuedBar]] = {
            lane: BoundedQueue(bound)
            for partition in range(PARTITIONS)
            for lane in lanes_of_partition(partition)
        }
        self.published = 0

    def __len__(self) -> int:
        """Return the number of bars that are not acknowledged yet."""
        return sum(map(len, self._queues.values()))

    async def put(self, bar: TradeBar) -> None:
        """
        Queue a bar; wait for room, at most for the bus' request timeout.

        FeedError when the bar can't be published, or there was no room in time.
        """
        queued = QueuedBar(bar, time.time_ns())
        self._check(bar)
        timeout_s = self._bus.config.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._room.acquire()
        except TimeoutError as error:
            raise self._unpublished(timeout_s) from error
        self._queues[lane_of(bar.symbol)].put_nowait(queued)

    async def drain(self, timeout_s: float) -> None:
        """Wait until all queued bars are acknowledged; FeedError when that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                for queue in self._queues.values():
                    await queue.drain()
        except TimeoutError as error:
            raise self._unpublished(timeout_s) from error

    async def run(self, lease: Lease) -> None:
        """Publish under a lease until cancelled; a lane is taken over with its first bar."""
        async with asyncio.TaskGroup() as group:
            for lane, queue in self._queues.items():
                publisher = FeedLanePublisher(
                    self._bus,
                    self._feed,
                    lane,
                    lease,
                    queue,
                    on_acknowledged=self._on_acknowledged,
                )
                group.create_task(publisher.run())

    def _on_acknowledged(self, count: int) -> None:
        self.published += count
        for _ in range(count):
            self._room.release()

    def _check(self, bar: TradeBar) -> None:
        try:
            if not bar.symbol:
                message = "its symbol is empty"
                raise ValueError(message)  # noqa: TRY301 - one border for all that is wrong
            from_bars([bar], feed=self._feed)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            message = f"{bar!r} can't be published by the feed {self._feed}: {error}"
            raise FeedError(message) from error

    def _unpublished(self, timeout_s: float) -> FeedError:
        return FeedError(
            f"the feed {self._feed} has {len(self)} bars queued and could not publish them within "
            f"{timeout_s:g} s: either the bus is unavailable or another process runs this feed; "
            "publish again later, or run the feed in one process only"
        )


class FeedLanePublisher(LanePublisher[QueuedBar]):
    """Publisher of one lane of a user's feed, which may have bars of several resolutions."""

    def __init__(
        self,
        bus: Bus,
        feed: str,
        lane: Lane,
        lease: Lease,
        queue: BoundedQueue[QueuedBar],
        *,
        on_acknowledged: Callable[[int], None],
    ) -> None:
        super().__init__(bus, feed, lane, lease, queue)
        self._report = on_acknowledged
        self._owned = False

    async def _prepare(self) -> None:
        # Most feeds use few of the lanes: the others get no frame of theirs at all.
        if not self._owned:
            await self.take_over()
            self._owned = True

    def _frames(self, rows: Sequence[QueuedBar]) -> Iterator[LaneFrame]:
        # A block has one resolution, and the order of the bars is kept.
        for _, run in groupby(rows, lambda row: row.bar.resolution):
            bars, received_ns = zip(*run, strict=True)
            block = from_bars(bars, feed=self._feed)
            block = block.with_columns(received_ns=np.array(received_ns, "<i8"))
            yield LaneFrame(block, {WALL: str(received_ns[0])})

    def _on_acknowledged(self, rows: Sequence[QueuedBar]) -> None:
        self._report(len(rows))
