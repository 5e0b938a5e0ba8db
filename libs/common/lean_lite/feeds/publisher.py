"""
What waits for the bus, one queue for all lanes of a feed.

While frames are on their way the next ones gather; there is no timer. A bar leaves the queue only
when its frame is acknowledged: what a lost lease cuts off is sent again under the next one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from lean_lite.blocks import Block, empty_block, encode_block, from_bars
from lean_lite.bus import Bus, FencedPublisher, Lease
from lean_lite.errors import FeedError
from lean_lite.model import TradeBar
from lean_lite.protocol import subjects
from lean_lite.protocol.headers import WALL
from lean_lite.protocol.partitions import Lane, lane_of

FRAME_ROWS = 1_024


class QueuedBar(NamedTuple):
    """Hold a bar and when it was published, by this machine's clock."""

    bar: TradeBar
    received_ns: int


class FeedPublisher:
    """Publish the bars of one feed to RAW, in the order they came."""

    def __init__(self, bus: Bus, feed: str, *, bound: int) -> None:
        """Hold at most `bound` bars; nothing is published before `run`."""
        self._bus = bus
        self._feed = feed
        self._bound = bound
        self._waiting: deque[QueuedBar] = deque()
        self._filled = asyncio.Event()
        self._sent = asyncio.Event()
        self.published = 0

    async def put(self, bar: TradeBar) -> None:
        """
        Queue a bar; a full queue is waited for, at most the bus' request limit.

        FeedError when the bar can't travel, or when nothing has left the queue in time.
        """
        arrival = QueuedBar(bar, time.time_ns())
        self._check(bar)
        await self._wait_until(self._bound - 1, self._bus.config.request_timeout_s)
        self._waiting.append(arrival)
        self._filled.set()

    async def drained(self, limit_s: float) -> None:
        """Return when everything queued has been acknowledged; FeedError when that takes longer."""
        await self._wait_until(0, limit_s)

    async def run(self, lease: Lease) -> None:
        """Publish under a lease until cancelled; lanes are taken over when they are first used."""
        outputs: dict[Lane, FencedPublisher] = {}
        while True:
            await self._filled.wait()
            batch = tuple(islice(self._waiting, FRAME_ROWS))
            async with asyncio.TaskGroup() as group:
                for lane, arrivals in _by_lane(batch).items():
                    group.create_task(self._publish(lane, arrivals, lease, outputs))
            for _ in batch:
                self._waiting.popleft()
            self.published += len(batch)
            if not self._waiting:
                self._filled.clear()
            self._sent.set()

    async def _publish(
        self,
        lane: Lane,
        arrivals: Sequence[QueuedBar],
        lease: Lease,
        outputs: dict[Lane, FencedPublisher],
    ) -> None:
        if lane not in outputs:
            subject = subjects.raw(self._feed, lane)
            outputs[lane] = FencedPublisher(self._bus, subjects.RAW, subject, lease)
            await outputs[lane].take_over(encode_block(empty_block(self._feed)))
        for block in self._blocks(arrivals):
            wall_ns = int(block["received_ns"][0])
            await outputs[lane].publish(encode_block(block), {WALL: str(wall_ns)})

    def _blocks(self, arrivals: Sequence[QueuedBar]) -> Iterator[Block]:
        for _, run in groupby(arrivals, lambda arrival: arrival.bar.resolution):
            bars, received_ns = zip(*run, strict=True)
            block = from_bars(bars, feed=self._feed)
            yield block.with_columns(received_ns=np.array(received_ns, "<i8"))

    async def _wait_until(self, most: int, limit_s: float) -> None:
        """Return when at most so many bars wait."""
        try:
            async with asyncio.timeout(limit_s):
                while len(self._waiting) > most:
                    self._sent.clear()
                    await self._sent.wait()
        except TimeoutError as error:
            message = (
                f"{len(self._waiting)} bars of the feed {self._feed} wait and none was taken for "
                f"{limit_s:g} s: either the bus is away or another process runs this feed; "
                "publish again later, or run the feed in one process only"
            )
            raise FeedError(message) from error

    def _check(self, bar: TradeBar) -> None:
        try:
            if not bar.symbol:
                message = "its symbol is empty"
                raise ValueError(message)  # noqa: TRY301 - one border for all that is wrong
            from_bars([bar], feed=self._feed)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            message = f"{bar!r} can't be published by the feed {self._feed}: {error}"
            raise FeedError(message) from error


def _by_lane(batch: Sequence[QueuedBar]) -> dict[Lane, list[QueuedBar]]:
    lanes: dict[Lane, list[QueuedBar]] = {}
    for arrival in batch:
        lanes.setdefault(lane_of(arrival.bar.symbol), []).append(arrival)
    return lanes
