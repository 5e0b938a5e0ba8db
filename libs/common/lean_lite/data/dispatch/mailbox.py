"""Mailbox: bounded queue of one callback, with the policies block, latest and drop_oldest."""

import asyncio
import sys
from collections import OrderedDict
from typing import Literal, Protocol

import msgspec

from lean_lite.model import DataQualityLevel, TradeBar

# What happens when a mailbox is full: the producer waits (`block`), the oldest update is dropped
# (`drop_oldest`). With `latest` one update of each symbol waits, the newest.
Policy = Literal["block", "latest", "drop_oldest"]
POLICIES: tuple[Policy, ...] = ("block", "latest", "drop_oldest")
# One minute of some 8,000 symbols.
BOUND = 8_192
# Size of a batch for a full mailbox that drops updates.
SMALL_BATCH = 16


class UpdateSource(Protocol):
    """Subscription that updates come from."""

    @property
    def stopped(self) -> bool:
        """Whether it has ended; its updates are then dropped."""


class BarUpdate(msgspec.Struct, frozen=True):
    """Arguments of one call of a callback, and the subscription that they come from."""

    symbol: str
    bar: TradeBar
    quality: DataQualityLevel
    source: UpdateSource


class Mailbox:
    """
    Bounded queue of updates for one consumer.

    BoundedQueue would not make it simpler: two of the policies remove or replace queued updates.

    Args:
        policy: `block`, `drop_oldest` or `latest`.
        bound: number of updates that may wait; with `latest` the number of symbols.

    Attributes:
        policy: the policy.
        bound: the bound.
        dropped: number of updates that were dropped or replaced.
        closed: whether it was closed.

    Raises:
        ValueError: the policy is unknown, or the bound below 1.
    """

    def __init__(self, policy: Policy = "block", bound: int = BOUND) -> None:
        if policy not in POLICIES:
            message = f"invalid policy {policy!r}: use one of {', '.join(POLICIES)}"
            raise ValueError(message)
        if bound < 1:
            message = f"invalid bound {bound}: at least one bar must be able to wait"
            raise ValueError(message)
        self.policy = policy
        self.bound = bound
        self.dropped = 0
        self.closed = False
        self._count = 0
        # By symbol with `latest`, by number otherwise; in order of arrival.
        self._updates: OrderedDict[int | str, BarUpdate] = OrderedDict()
        self.bind_loop()

    def __len__(self) -> int:
        """Return how many updates wait."""
        return len(self._updates)

    @property
    def room(self) -> int:
        """Number of updates to put in one batch; 0 if the producer must wait."""
        if self.policy == "latest":
            return sys.maxsize
        room = self.bound - len(self._updates)
        if self.policy == "block":
            return room
        # When full, take small batches: a fast consumer then sees every update instead of losing
        # some to `drop_oldest`.
        return max(room, min(self.bound // 2, SMALL_BATCH), 1)

    def bind_loop(self) -> None:
        """Serve the running event loop, perhaps another one than before; waiters are forgotten."""
        self._filled = asyncio.Event()
        self._freed = asyncio.Event()

    def put_nowait(self, update: BarUpdate) -> bool:
        """Put an update; False if the producer must wait for room. Does nothing when closed."""
        if self.closed:
            return True
        self._count += 1
        key = update.symbol if self.policy == "latest" else self._count
        if key in self._updates:
            self.dropped += 1
        elif len(self._updates) >= self.bound:
            if self.policy == "block":
                return False
            self._updates.popitem(last=False)
            self.dropped += 1
        self._updates[key] = update
        self._filled.set()
        return True

    async def put(self, update: BarUpdate) -> None:
        """Put an update; waits for room if the policy is `block`."""
        while not self.put_nowait(update):
            self._freed.clear()
            await self._freed.wait()

    def get_nowait(self) -> BarUpdate | None:
        """Remove and return the oldest update; None if it is empty."""
        if not self._updates:
            return None
        _, update = self._updates.popitem(last=False)
        self._freed.set()
        return update

    async def get(self) -> BarUpdate:
        """Remove and return the oldest update; waits for one."""
        while (update := self.get_nowait()) is None:
            self._filled.clear()
            await self._filled.wait()
        return update

    def close(self) -> None:
        """Drop all updates, now and from now on, and wake the producers that wait."""
        self.closed = True
        self._updates.clear()
        self._freed.set()
