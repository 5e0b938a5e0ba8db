"""Align bars of several symbols by minute."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from lean_lite.model import TradeBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.live import LiveBar

RELEASED = 1_440
HELD = 1_440


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
