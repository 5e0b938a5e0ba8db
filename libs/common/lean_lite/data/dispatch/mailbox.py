"""What waits for one callback: bounded, and by one of three policies when it is full."""

import asyncio
import sys
from collections import OrderedDict
from typing import Literal, Protocol

import msgspec

from lean_lite.model import DataQualityLevel, TradeBar

Policy = Literal["block", "latest", "drop_oldest"]
POLICIES: tuple[Policy, ...] = ("block", "latest", "drop_oldest")
BOUND = 8_192
FEW = 16


class UpdateSource(Protocol):
    """Be what an update comes from."""

    @property
    def stopped(self) -> bool:
        """Say whether nobody wants its updates any more."""


class BarUpdate(msgspec.Struct, frozen=True):
    """Hold what a callback is called with, and where it came from."""

    symbol: str
    bar: TradeBar
    quality: DataQualityLevel
    source: UpdateSource


class Mailbox:
    """
    Keep updates in order until they are taken.

    A full mailbox makes the sender wait (`block`: the rest stays in the store), lets go of the
    oldest (`drop_oldest`), or keeps only the newest of every symbol (`latest`), which `bound`
    limits in symbols. `dropped` counts what was let go.

    BoundedQueue would not make it simpler: two of the policies remove or replace queued updates.
    """

    def __init__(self, policy: Policy = "block", bound: int = BOUND) -> None:
        """Start empty; ValueError for another policy, or a bound below one."""
        if policy not in POLICIES:
            message = f"{policy!r} is no policy for a callback: use one of {', '.join(POLICIES)}"
            raise ValueError(message)
        if bound < 1:
            message = f"a callback needs room for one bar at least, not {bound}"
            raise ValueError(message)
        self.policy = policy
        self.bound = bound
        self.dropped = 0
        self._count = 0
        self.closed = False
        self._waiting: OrderedDict[int | str, BarUpdate] = OrderedDict()
        self.bind_loop()

    def __len__(self) -> int:
        """Return how many updates wait."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """Return how many updates are best kept at a time; 0 when the sender must wait."""
        if self.policy == "latest":
            return sys.maxsize
        room = self.bound - len(self._waiting)
        # A full one gets few at a time, so that who is quick takes them before the next ones come.
        return room if self.policy == "block" else max(room, min(self.bound // 2, FEW), 1)

    def bind_loop(self) -> None:
        """Serve another event loop than before, or the same one: who waits now is forgotten."""
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()

    def put_nowait(self, update: BarUpdate) -> bool:
        """Keep an update, and say so; False when the sender must wait for room."""
        if self.closed:
            return True
        self._count += 1
        key = update.symbol if self.policy == "latest" else self._count
        if key in self._waiting:
            self.dropped += 1
        elif len(self._waiting) >= self.bound:
            if self.policy == "block":
                return False
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._waiting[key] = update
        self._filled.set()
        return True

    async def put(self, update: BarUpdate) -> None:
        """Keep an update; waits for room when the policy says so."""
        while not self.put_nowait(update):
            self._taken.clear()
            await self._taken.wait()

    def get_nowait(self) -> BarUpdate | None:
        """Return the oldest update; None when there is none."""
        if not self._waiting:
            return None
        _, update = self._waiting.popitem(last=False)
        self._taken.set()
        return update

    async def get(self) -> BarUpdate:
        """Return the oldest update as soon as there is one."""
        while (update := self.get_nowait()) is None:
            self._filled.clear()
            await self._filled.wait()
        return update

    def close(self) -> None:
        """Let go of everything, now and from now on; nobody waits for room any more."""
        self.closed = True
        self._waiting.clear()
        self._taken.set()
