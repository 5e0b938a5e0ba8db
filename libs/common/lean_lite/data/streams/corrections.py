"""CorrectionHold: hold each live bar until its correction is due."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from lean_lite.protocol.live import IN_ORDER_ORIGINS, LiveBar

# Alpaca corrects a bar 30 s after its end, so before the next minute's bar comes. If none comes,
# the market is silent: a minute, those 30 s and 5 s of margin.
SILENT_S = 95.0


class CorrectionHold:
    """
    Live bars that wait for their correction.

    Args:
        silent_s: how long without any bar all held ones are released, in seconds.
    """

    def __init__(self, silent_s: float = SILENT_S) -> None:
        self._silent_s = silent_s
        self._held: OrderedDict[tuple[str, int], LiveBar] = OrderedDict()
        self._due: deque[LiveBar] = deque()
        self._next: asyncio.Task[LiveBar] | None = None

    def __iter__(self) -> Iterator[LiveBar]:
        """Iterate over the bars that were read from the live stream and not yielded yet."""
        yield from self._due
        yield from self._held.values()
        task = self._next
        if task is not None and task.done() and not (task.cancelled() or task.exception()):
            yield task.result()

    async def hold(self, live: AsyncIterator[LiveBar]) -> AsyncGenerator[LiveBar]:
        """Yield the last version of each bar once its correction must have arrived."""
        try:
            while True:
                # A task outlives the timeout below: cancelling `anext` would end a generator.
                self._next = self._next or asyncio.ensure_future(anext(live))
                limit_s = self._silent_s if self._held else None
                done, _ = await asyncio.wait([self._next], timeout=limit_s)
                if done:
                    task, self._next = self._next, None
                    self._add(task.result())
                else:
                    self._release(max(start_ns for _, start_ns in self._held) + 1)
                while self._due:
                    yield self._due.popleft()
        except StopAsyncIteration:
            return
        finally:
            if self._next is not None:
                self._next.cancel()

    def _add(self, record: LiveBar) -> None:
        self._held[record.symbol, record.start_ns] = record
        if record.origin in IN_ORDER_ORIGINS:
            # It ends a minute after earlier bars, so it arrives after their corrections.
            self._release(record.start_ns)

    def _release(self, before_ns: int) -> None:
        due = [key for key in self._held if key[1] < before_ns]
        due.sort(key=lambda key: key[1])
        self._due.extend(self._held.pop(key) for key in due)
