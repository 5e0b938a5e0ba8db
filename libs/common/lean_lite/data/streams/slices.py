"""The bars of several symbols, minute by minute."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, Self

import msgspec

from lean_lite.algorithm.data_models import TradeBar, from_ns
from lean_lite.data.beginning import Beginning
from lean_lite.messages import LiveBar

GRACE_S = 2.0
RELEASED = 1_440
HELD = 1_440
TOGETHER = 256
# Waiting is looked at so often: an event loop that stands still for longer has waited no more.
LOOK_S = 0.05

log = logging.getLogger(__name__)


class Records(Protocol):
    """Be live records, as `Live` is."""

    @property
    def behind(self) -> int:
        """Return how many have come and wait to be taken."""

    async def __anext__(self) -> LiveBar:
        """Return the next one."""

    async def stop(self) -> None:
        """Ask for no more."""


class Slice(msgspec.Struct, frozen=True):
    """
    Hold the bars of one start, by symbol.

    `missing` are the symbols without a bar then. `revision` is 0 for the first slice of a start;
    a bar that comes later, or is corrected, makes a further one with all bars.
    """

    timestamp: datetime
    bars: Mapping[str, TradeBar]
    missing: tuple[str, ...] = ()
    revision: int = 0

    def __getitem__(self, symbol: str) -> TradeBar:
        """Return a symbol's bar; KeyError when it is missing."""
        return self.bars[symbol]

    def __contains__(self, symbol: str) -> bool:
        """Say whether a symbol has a bar."""
        return symbol in self.bars


class Alignment:
    """
    Put records into slices; no input or output.

    A slice is due when every symbol has a bar of its start or of a later one, because the bars of
    a symbol come in order. A symbol that is silent is waited for `grace_s` after the first bar of a
    later start.
    """

    def __init__(self, symbols: Iterable[str], grace_s: float) -> None:
        """Start with nothing."""
        self._symbols = tuple(dict.fromkeys(symbols))
        self._grace_s = grace_s
        self._open: dict[int, dict[str, TradeBar]] = {}
        self._overdue_at: dict[int, float] = {}
        self._newest_ns: dict[str, int] = {}
        self._latest_ns = -1
        self._released: OrderedDict[int, Slice] = OrderedDict()
        self._released_ns = -1

    @property
    def deadline(self) -> float | None:
        """Return when the next slice is due without another bar, by the clock of `add`."""
        return self._overdue_at.get(min(self._open)) if self._open else None

    @property
    def full(self) -> bool:
        """Say whether a slice is due because no more can be held."""
        return len(self._open) > HELD

    def add(self, record: LiveBar, now: float) -> Slice | None:
        """Take a record; returns the revision of a slice that was released already."""
        if record.start_ns <= self._released_ns:
            return self._revise(record)
        self._open.setdefault(record.start_ns, {})[record.symbol] = record.bar()
        newest_ns = self._newest_ns.get(record.symbol, -1)
        self._newest_ns[record.symbol] = max(newest_ns, record.start_ns)
        # All that are older than the latest have their time already.
        older_ns = min(record.start_ns, self._latest_ns)
        self._latest_ns = max(record.start_ns, self._latest_ns)
        if older_ns < self._latest_ns and older_ns in self._open:
            self._overdue_at.setdefault(older_ns, now + self._grace_s)
        return None

    def due(self, now: float) -> Iterator[Slice]:
        """Yield the slices that need not wait any more, in order of time."""
        for start_ns in sorted(self._open):
            overdue = self._overdue_at.get(start_ns, now + 1) <= now
            if not (overdue or self._settled(start_ns) or self.full):
                return
            yield self._release(start_ns, self._open.pop(start_ns))

    def _settled(self, start_ns: int) -> bool:
        return all(self._newest_ns.get(symbol, -1) >= start_ns for symbol in self._symbols)

    def _release(self, start_ns: int, bars: dict[str, TradeBar], revision: int = 0) -> Slice:
        self._overdue_at.pop(start_ns, None)
        ordered = {symbol: bars[symbol] for symbol in self._symbols if symbol in bars}
        missing = tuple(symbol for symbol in self._symbols if symbol not in bars)
        made = Slice(from_ns(start_ns), MappingProxyType(ordered), missing, revision)
        self._released[start_ns] = made
        self._released_ns = max(self._released_ns, start_ns)
        if len(self._released) > RELEASED:
            self._released.popitem(last=False)
        return made

    def _revise(self, record: LiveBar) -> Slice:
        known = self._released.get(record.start_ns)
        bars = dict(known.bars) if known else {}
        revision = known.revision + 1 if known else 1
        return self._release(record.start_ns, bars | {record.symbol: record.bar()}, revision)


class Slices:
    """Yield slices of live bars; an async iterator and an async context manager."""

    def __init__(
        self, begin: Callable[[], Awaitable[Records]], symbols: Iterable[str], grace_s: float
    ) -> None:
        """Use `DataEngine.slices`; nothing is asked before the first slice is wanted."""
        self._live: Records | None = None
        self._begin = begin
        self._alignment = Alignment(symbols, grace_s)
        self._beginning: Beginning | None = None
        self._ready: deque[Slice] = deque()
        self._waited_s = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return the stream; it begins with the first slice."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Slice]:
        """Yield slices until stopped."""
        return self

    async def __anext__(self) -> Slice:
        """Return the next slice."""
        if self._live is None and not self._closed:
            await self._start()
        while self._live is not None:
            if self._ready:
                return self._ready.popleft()
            await self._look(self._live)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop for good."""
        self._closed = True
        live, self._live = self._live, None
        if live is not None:
            await live.stop()

    def __del__(self) -> None:
        """Stop when nobody can take any more."""
        if self._live is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_leave, self._live)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._beginning = self._beginning or Beginning()
        self._live = await self._begin()
        if self._closed:
            await self.aclose()

    async def _look(self, live: Records) -> None:
        """Take all that has come before a symbol is named missing, and wait when nothing is due."""
        while live.behind and not self._alignment.full:
            for _ in range(min(live.behind, TOGETHER)):
                self._add(await anext(live))
            # None of that need wait: the event loop has its turn, and may bring more.
            await asyncio.sleep(0)
        self._ready.extend(self._alignment.due(self._waited_s))
        if not self._ready:
            await self._wait(live)

    async def _wait(self, live: Records) -> None:
        """
        Wait for a record, or for the next look.

        Only this is the waiting that a silent symbol's grace is made of. While the strategy
        computes bars may wait in the queue, and while it blocks the event loop in the socket.
        """
        deadline_s = self._alignment.deadline
        limit_s = None
        if deadline_s is not None:
            limit_s = min(max(deadline_s - self._waited_s, 0.001), LOOK_S)
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                self._add(await anext(live))
        except TimeoutError:
            pass
        finally:
            self._waited_s += min(time.monotonic() - began, LOOK_S)

    def _add(self, record: LiveBar) -> None:
        if self._beginning is not None and not self._beginning.includes(record):
            return
        revised = self._alignment.add(record, self._waited_s)
        if revised is not None:
            self._ready.append(revised)


def _leave(live: Records) -> None:
    leaving = asyncio.ensure_future(live.stop())
    leaving.add_done_callback(_left)


def _left(leaving: asyncio.Future[None]) -> None:
    if not leaving.cancelled() and (error := leaving.exception()) is not None:
        log.info("slices.not_left", extra={"error": str(error)})
