"""Live bars that wait for one reader."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable

from lean_lite.protocol.live import LiveBar

BOUND = 65_536


class BarQueue:
    """
    Keep bars of one or several streams in order until they are taken.

    A stream puts in no more than there is `room` for, and leaves the rest in the store; it is told
    when half of the queue is free again.
    """

    def __init__(self, bound: int = BOUND) -> None:
        """Start empty."""
        self._bound = bound
        self._bars: deque[LiveBar] = deque()
        self._filled = asyncio.Event()
        self._streams: list[Callable[[], None]] = []
        self._closed = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        """Return how many bars wait."""
        return len(self._bars)

    @property
    def room(self) -> int:
        """Return for how many bars there is room; 0 or less when it is full."""
        return self._bound - len(self._bars)

    def put(self, bars: Iterable[LiveBar]) -> None:
        """Keep bars; a whole frame may go beyond the bound."""
        self._bars.extend(bars)
        if self._bars:
            self._filled.set()

    async def get(self, most: int) -> list[LiveBar]:
        """
        Return what has waited longest, one bar at least.

        At the end StopAsyncIteration, or the error that the queue was closed with.
        """
        while not self._bars:
            if self._closed:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        before = len(self._bars)
        taken = [self._bars.popleft() for _ in range(min(most, before))]
        self._notify(before)
        return taken

    def attach(self, has_room: Callable[[], None]) -> None:
        """Tell a stream of room from now on."""
        self._streams.append(has_room)

    def detach(self, has_room: Callable[[], None], symbols: Collection[str]) -> list[LiveBar]:
        """Tell it no more, and let go of its symbols' bars: return them."""
        self._streams.remove(has_room)
        bars = list(self._bars)
        self._bars = deque(bar for bar in bars if bar.symbol not in symbols)
        self._notify(len(bars))
        return [bar for bar in bars if bar.symbol in symbols]

    def close(self, error: Exception | None = None) -> None:
        """Come to the end as soon as what waits is taken; does nothing when that is done."""
        if not self._closed:
            self._closed, self._error = True, error
        self._filled.set()

    def _notify(self, before: int) -> None:
        """Tell the streams when half of the queue has become free."""
        if len(self._bars) <= self._bound // 2 < before:
            for has_room in tuple(self._streams):
                has_room()
