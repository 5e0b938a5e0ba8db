"""What one task has read and another one is about to take, in a bounded queue."""

import asyncio
from collections import deque
from collections.abc import Iterator


class PrefetchQueue[Item]:
    """
    Hand items from one task to another, in order.

    Whoever puts goes on when at most `bound` items wait. After `close` the rest is still taken;
    then comes the end, or the error that it was closed with.
    """

    def __init__(self, bound: int) -> None:
        """Start empty."""
        self._bound = bound
        self._waiting: deque[Item] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Item]:
        """Yield what waits, the oldest first."""
        return iter(self._waiting)

    async def put(self, item: Item) -> None:
        """Add an item, and return as soon as there is room for another."""
        self._waiting.append(item)
        self._changed.set()
        while len(self._waiting) > self._bound:
            await self._notify()

    async def get(self) -> Item:
        """Return the oldest item as soon as there is one; StopAsyncIteration at the end."""
        while not self._waiting:
            if self._closed:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            await self._notify()
        item = self._waiting.popleft()
        self._changed.set()
        return item

    def close(self, error: Exception | None = None) -> None:
        """Take no more items; does nothing when that is done."""
        if not self._closed:
            self._closed, self._error = True, error
            self._changed.set()

    async def _notify(self) -> None:
        self._changed.clear()
        await self._changed.wait()
