"""Live bars, each once, when late trades have corrected it."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from lean_lite.protocol.live import IN_ORDER_ORIGINS, LiveBar

# Alpaca corrects a bar 30 s after its end, so before the next minute's bar comes.
SILENT_S = 95.0


class CorrectionHold:
    """Hold live bars back until late trades have corrected them."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held: OrderedDict[tuple[str, int], LiveBar] = OrderedDict()
        self._due: deque[LiveBar] = deque()
        self._next: asyncio.Task[LiveBar] | None = None

    def __iter__(self) -> Iterator[LiveBar]:
        """Yield what is held back."""
        yield from self._due
        yield from self._held.values()
        task = self._next
        if task is not None and task.done() and not (task.cancelled() or task.exception()):
            yield task.result()

    async def hold(self, live: AsyncIterator[LiveBar]) -> AsyncGenerator[LiveBar]:
        """Yield the last version of each bar once its correction must have come."""
        try:
            while True:
                self._next = self._next or asyncio.ensure_future(anext(live))
                limit_s = SILENT_S if self._held else None
                done, _ = await asyncio.wait([self._next], timeout=limit_s)
                if done:
                    task, self._next = self._next, None
                    self._take(task.result())
                else:
                    # The market is silent: whatever was to come has come.
                    self._release(max(start_ns for _, start_ns in self._held) + 1)
                while self._due:
                    yield self._due.popleft()
        except StopAsyncIteration:
            return
        finally:
            if self._next is not None:
                self._next.cancel()

    def _take(self, record: LiveBar) -> None:
        self._held[record.symbol, record.start_ns] = record
        if record.origin in IN_ORDER_ORIGINS:
            # A bar that ends a minute later comes after the correction of the one before.
            self._release(record.start_ns)

    def _release(self, before_ns: int) -> None:
        due = [key for key in self._held if key[1] < before_ns]
        due.sort(key=lambda key: key[1])
        self._due.extend(self._held.pop(key) for key in due)
