"""BoundedQueue: a bounded queue between the tasks of one event loop."""

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import islice


class QueueClosed(Exception):
    """An item was put into a closed queue."""


class BoundedQueue[Item]:
    """
    First-in, first-out queue with a bound, for any number of producers and one consumer.

    The consumer either takes items with `get`, or reads them with `peek`, publishes them and calls
    `remove` once they are acknowledged: items of a failed attempt stay at the front.

    An item is added and removed by the task that calls, never handed to a waiting one: a cancelled
    `put` has added nothing and a cancelled `get` has removed nothing. The items of one producer
    keep their order.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: deque[Item] = deque()
        self._removed = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        """Return the number of queued items."""
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        """Yield the queued items, the oldest first, without removing them."""
        return iter(self._items)

    async def put(self, item: Item, *, timeout_s: float | None = None) -> None:
        """
        Add an item as soon as there is room.

        TimeoutError when there was none for `timeout_s`, QueueClosed after `close`: the item was
        not added.
        """
        if self.put_nowait(item):
            return
        async with asyncio.timeout(timeout_s):
            while not self.put_nowait(item):
                await self._wait_for_change()

    def put_nowait(self, item: Item) -> bool:
        """Add an item if there is room, and return whether there was; QueueClosed after `close`."""
        if self._closed:
            message = "the queue is closed"
            raise QueueClosed(message)
        if len(self._items) >= self._bound:
            return False
        self._items.append(item)
        self._changed.set()
        return True

    async def get(self) -> Item:
        """
        Remove the oldest item and return it; wait while there is none.

        After `close` and the last item: the error that the queue was closed with, once, then
        StopAsyncIteration.
        """
        await self._wait_for_item()
        item = self._items.popleft()
        self._on_removed(1)
        return item

    async def peek(self, most: int) -> tuple[Item, ...]:
        """Return up to `most` of the oldest items, one at least; waits and raises like `get`."""
        await self._wait_for_item()
        return tuple(islice(self._items, most))

    def remove(self, count: int) -> None:
        """Remove the `count` oldest items, as `peek` returned them."""
        for _ in range(count):
            self._items.popleft()
        self._on_removed(count)

    async def drain(self, *, timeout_s: float | None = None) -> None:
        """
        Wait until every item queued so far has been removed; later ones are not waited for.

        TimeoutError when that takes longer than `timeout_s`.
        """
        target = self._removed + len(self._items)
        async with asyncio.timeout(timeout_s):
            while self._removed < target:
                await self._wait_for_change()

    def close(self, error: Exception | None = None) -> None:
        """
        Accept no more items; the queued ones can still be taken.

        Wakes every waiting producer and the consumer. Only the first call has an effect.
        """
        if not self._closed:
            self._closed, self._error = True, error
            self._changed.set()

    async def _wait_for_item(self) -> None:
        while not self._items:
            if self._closed:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            await self._wait_for_change()

    def _on_removed(self, count: int) -> None:
        self._removed += count
        self._changed.set()

    async def _wait_for_change(self) -> None:
        # One event wakes all waiters, and each looks at the queue again: with few waiters that is
        # cheaper than one future for each, and there is no hand-over that a cancellation could
        # lose.
        self._changed.clear()
        await self._changed.wait()
