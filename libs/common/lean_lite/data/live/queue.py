"""BarQueue: queue of the live bars for one reader, with back-pressure to the streams."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable

from lean_lite.protocol.live import LiveBar

BOUND = 65_536


class BarQueue:
    """
    Queue of live bars that one or several streams fill and one reader empties, in order.

    A stream adds at most as many bars as there is `room` for, and leaves the others in the store.
    When the queue has emptied to half of its bound, the streams are notified and fetch them.

    BoundedQueue would not make it simpler: a frame's bars are added together, beyond the bound if
    need be, the reader takes many at a time, and a detached stream takes its bars back.
    """

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._bars: deque[LiveBar] = deque()
        self._filled = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        """Return the number of queued bars."""
        return len(self._bars)

    @property
    def room(self) -> int:
        """Number of bars that fit; 0 or less when the queue is full."""
        return self._bound - len(self._bars)

    def put(self, bars: Iterable[LiveBar]) -> None:
        """Add bars without waiting; the bars of a frame may exceed the bound together."""
        self._bars.extend(bars)
        if self._bars:
            self._filled.set()

    async def get(self, most: int) -> list[LiveBar]:
        """
        Remove and return up to `most` of the oldest bars, one at least; wait while there is none.

        After `close` and the last bar: the error that the queue was closed with, once, then
        StopAsyncIteration.
        """
        while not self._bars:
            if self._closed:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        before = len(self._bars)
        bars = [self._bars.popleft() for _ in range(min(most, before))]
        self._notify(before)
        return bars

    def attach(self, on_room: Callable[[], None]) -> None:
        """Notify a stream by `on_room` from now on."""
        self._listeners.append(on_room)

    def detach(self, on_room: Callable[[], None], symbols: Collection[str]) -> list[LiveBar]:
        """Stop notifying a stream; remove and return the queued bars of its symbols."""
        self._listeners.remove(on_room)
        bars = list(self._bars)
        self._bars = deque(bar for bar in bars if bar.symbol not in symbols)
        self._notify(len(bars))
        return [bar for bar in bars if bar.symbol in symbols]

    def close(self, error: Exception | None = None) -> None:
        """End the queue after the bars in it; only the first call has an effect."""
        if not self._closed:
            self._closed, self._error = True, error
        self._filled.set()

    def _notify(self, before: int) -> None:
        # Only when the level falls to half: one call then fetches many bars from the store.
        if len(self._bars) <= self._bound // 2 < before:
            for on_room in tuple(self._listeners):
                on_room()
