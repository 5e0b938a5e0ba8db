"""
History and live bars as one: no gap between them, and no bar twice.

A stream first follows live and only then asks for history: each page of history is one snapshot of
the store and says up to which GRADED frame of every lane it goes. A live record is delivered only
above that, so the two fit whatever happens in between.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Literal, Self

from lean_lite.algorithm.data_models import NS_PER_S, TradeBar
from lean_lite.data.history import Snapshot
from lean_lite.data.live import Live
from lean_lite.data.resume import Resume
from lean_lite.messages import Gap, LiveBar, live_bars
from lean_lite.subjects import lane_of

Revisions = Literal["first", "final", "all"]
REVISIONS: tuple[Revisions, ...] = ("first", "final", "all")
# A bar is final when late trades have corrected it: Alpaca does so 30 s after its end.
FINAL_NS = 35 * NS_PER_S
FINAL_S = 95.0
# Corrections and refills reach back one trading day; what is older is history.
KEYS_KEPT = 4_320
# A resumed reader looks back so far to know which bars it had.
LOOK_BACK_NS = 3 * 86_400 * NS_PER_S

Begin = Callable[[Mapping[str, int] | None], Awaitable[Live]]
Pages = Callable[[int], AsyncIterator[Snapshot]]


class BarStream:
    """
    Yield the bars of some symbols: history since a moment, then live.

    An async iterator and an async context manager. `record` is the live record of the bar that was
    yielded last, with its quality; `gaps` names what could not be had of history. With `revisions`
    `first` every bar comes once, as it was when it came first; with `final` once, when late trades
    have corrected it; with `all` corrections follow as further bars of the same start. History is
    always what is stored, corrections included, and INVALID bars never come.
    """

    def __init__(
        self,
        begin: Begin,
        pages: Pages | None,
        since_ns: int,
        *,
        revisions: Revisions = "first",
        resume: Resume | None = None,
    ) -> None:
        """Use `DataEngine.bars`; nothing is asked before the first bar is wanted."""
        if revisions not in REVISIONS:
            message = f"revisions are {', '.join(REVISIONS)}, not {revisions!r}"
            raise ValueError(message)
        self._begin = begin
        self._pages = pages
        self._since_ns = since_ns
        self._revisions = revisions
        self._resume = resume
        self._known = Known(KEYS_KEPT)
        self._through: dict[str, int] = {}
        self._live: Live | None = None
        self._records: AsyncGenerator[LiveBar] | None = None
        self._joined = False
        self.gaps: list[Gap] = []
        self.record: LiveBar | None = None

    async def __aenter__(self) -> Self:
        """Return the stream; it begins with the first bar."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[TradeBar]:
        """Yield bars until stopped."""
        return self

    async def __anext__(self) -> TradeBar:
        """Return the next bar; the one before counts as done, which a durable name remembers."""
        if self._records is None:
            self._records = self._read()
        elif self._resume is not None and self._joined and self.record is not None:
            await self._resume.done(self.record, self._live)
        self.record = await anext(self._records)
        return self.record.bar()

    async def aclose(self) -> None:
        """Stop; a durable name goes on behind the last bar that was done."""
        records, self._records = self._records, None
        if records is not None:
            await records.aclose()
        if self._resume is not None:
            await self._resume.save()
        live, self._live = self._live, None
        if live is not None:
            await live.stop()

    async def _read(self) -> AsyncGenerator[LiveBar]:
        after = await self._resume.load() if self._resume is not None else None
        self._live = live = await self._begin(after)
        if after is not None:
            await self._recall(after)
        elif self._pages is not None:
            async for record in self._history(self._pages):
                yield record
        if self._resume is not None:
            await self._resume.join(self._through or live.done)
        self._joined = True
        async for record in Final().of(live) if self._revisions == "final" else live:
            if self._is_due(record):
                yield record

    async def _history(self, pages: Pages) -> AsyncIterator[LiveBar]:
        """Yield what is stored, and remember up to which frame of each lane that goes."""
        async for snapshot in pages(self._since_ns):
            self.gaps += snapshot.gaps
            for lane, seq in snapshot.through.items():
                self._through[lane] = min(self._through.get(lane, seq), seq)
            for record in _by_start(snapshot):
                if self._known.add(record):
                    yield record

    async def _recall(self, after: Mapping[str, int]) -> None:
        """Learn which bars were delivered before the restart."""
        self._through = dict(after)
        if self._pages is None:
            return
        async for snapshot in self._pages(max(self._since_ns, time.time_ns() - LOOK_BACK_NS)):
            for record in _by_start(snapshot):
                if record.seq <= after.get(str(lane_of(record.symbol)), 0):
                    self._known.add(record)

    def _is_due(self, record: LiveBar) -> bool:
        lane = str(lane_of(record.symbol))
        if record.start_ns < self._since_ns or record.seq <= self._through.get(lane, 0):
            return False
        new = self._known.add(record)
        return new or (self._revisions == "all" and self._known.revised(record))


class Known:
    """Remember the newest bars of every symbol, and the frame that each came with."""

    def __init__(self, bound: int) -> None:
        """Keep so many bars of a symbol; older ones are known without being remembered."""
        self._bound = bound
        self._seqs: dict[str, OrderedDict[int, int]] = {}
        self._older_ns: dict[str, int] = {}

    def add(self, record: LiveBar) -> bool:
        """Take a bar; True when it is not known yet."""
        seqs = self._seqs.setdefault(record.symbol, OrderedDict())
        if record.start_ns in seqs or record.start_ns <= self._older_ns.get(record.symbol, -1):
            return False
        seqs[record.start_ns] = record.seq
        if len(seqs) > self._bound:
            oldest_ns, _ = seqs.popitem(last=False)
            self._older_ns[record.symbol] = max(
                oldest_ns, self._older_ns.get(record.symbol, oldest_ns)
            )
        return True

    def revised(self, record: LiveBar) -> bool:
        """Say whether a known bar came with a later frame than any before."""
        seqs = self._seqs[record.symbol]
        if record.seq <= seqs.get(record.start_ns, -1):
            return False
        if record.start_ns in seqs:
            seqs[record.start_ns] = record.seq
        return True


class Final:
    """Hold live bars back until late trades have corrected them."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held: OrderedDict[tuple[str, int], LiveBar] = OrderedDict()
        self._due: deque[LiveBar] = deque()

    async def of(self, live: AsyncIterator[LiveBar]) -> AsyncIterator[LiveBar]:
        """Yield the last version of each bar once its correction must have come."""
        pending: asyncio.Task[LiveBar] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(live))
                limit_s = FINAL_S if self._held else None
                done, _ = await asyncio.wait([pending], timeout=limit_s)
                if done:
                    self._take(pending.result())
                    pending = None
                else:
                    # The market is silent: whatever was to come has come.
                    self._due.extend(self._release(max(start for _, start in self._held) + 1))
                while self._due:
                    yield self._due.popleft()
        finally:
            if pending is not None:
                pending.cancel()

    def _take(self, record: LiveBar) -> None:
        key = (record.symbol, record.start_ns)
        self._held[key] = record
        if not record.late:
            # A bar that ends a minute later comes after the correction of the one before.
            self._due.extend(self._release(record.start_ns))

    def _release(self, before_ns: int) -> Iterator[LiveBar]:
        due = [key for key in self._held if key[1] < before_ns]
        return iter([self._held.pop(key) for key in due])


def _by_start(snapshot: Snapshot) -> list[LiveBar]:
    """Return the rows of all symbols in order of start."""
    records = [bar for block in snapshot.blocks for bar in live_bars(block)]
    records.sort(key=lambda bar: bar.start_ns)
    return records
