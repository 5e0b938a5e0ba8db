"""Alignment: live bars of several symbols as time slices, without I/O."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from lean_lite.model import TradeBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.live import LiveBar

# A trading day of minutes, also of crypto. It bounds the slices that wait for a silent symbol, and
# the yielded slices that a late bar can still revise.
MAX_OPEN = 1_440
MAX_REVISABLE = 1_440


class Slice(msgspec.Struct, frozen=True):
    """
    Bars of several symbols with the same start, like LEAN's `Slice`.

    Args:
        timestamp: start of the bars (UTC).
        bars: the bars by symbol, in the order of the requested symbols; read-only.
        missing: requested symbols that have no bar of this start.
        revision: 0 for the first slice of a start; a bar that comes late or is corrected yields
            the slice again, with all bars and the next number.
    """

    timestamp: datetime
    bars: Mapping[str, TradeBar]
    missing: tuple[str, ...] = ()
    revision: int = 0

    def __getitem__(self, symbol: str) -> TradeBar:
        """Return a symbol's bar; KeyError if it is missing."""
        return self.bars[symbol]

    def __contains__(self, symbol: str) -> bool:
        """Whether a symbol has a bar."""
        return symbol in self.bars


class Alignment:
    """
    Slices that are open, due or revised.

    A slice is due when every symbol has a bar of its start or of a later one, because the bars of
    a symbol come in order. A silent symbol is waited for `grace_s` from the first bar of a later
    start on.

    Args:
        symbols: the symbols.
        grace_s: how long a silent symbol is waited for, in seconds.
    """

    def __init__(self, symbols: Iterable[str], grace_s: float) -> None:
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
        """When the next slice is due without another bar, by the clock of `add`."""
        return self._overdue_at.get(min(self._open)) if self._open else None

    @property
    def full(self) -> bool:
        """Whether the oldest slice is due because no more can be open."""
        return len(self._open) > MAX_OPEN

    def add(self, record: LiveBar, now: float) -> Slice | None:
        """
        Add a live record.

        Args:
            record: the record; those of a symbol in order.
            now: time in seconds, by any clock that does not go backwards.

        Returns:
            The revision of a slice that was released before, else None.
        """
        if record.start_ns <= self._released_ns:
            return self._revise(record)
        self._open.setdefault(record.start_ns, {})[record.symbol] = record.bar()
        newest_ns = self._newest_ns.get(record.symbol, -1)
        self._newest_ns[record.symbol] = max(newest_ns, record.start_ns)
        # The grace of a slice starts with the first later one. All that are older than the latest
        # start have theirs already, so at most one slice gets it here.
        older_ns = min(record.start_ns, self._latest_ns)
        self._latest_ns = max(record.start_ns, self._latest_ns)
        if older_ns < self._latest_ns and older_ns in self._open:
            self._overdue_at.setdefault(older_ns, now + self._grace_s)
        return None

    def due(self, now: float) -> Iterator[Slice]:
        """Release and yield the slices that are due, in order of start."""
        for start_ns in sorted(self._open):
            overdue = self._overdue_at.get(start_ns, now + 1) <= now
            if not (overdue or self._is_complete(start_ns) or self.full):
                return
            yield self._release(start_ns, self._open.pop(start_ns))

    def _is_complete(self, start_ns: int) -> bool:
        return all(self._newest_ns.get(symbol, -1) >= start_ns for symbol in self._symbols)

    def _release(self, start_ns: int, bars: dict[str, TradeBar], revision: int = 0) -> Slice:
        self._overdue_at.pop(start_ns, None)
        ordered = {symbol: bars[symbol] for symbol in self._symbols if symbol in bars}
        missing = tuple(symbol for symbol in self._symbols if symbol not in bars)
        released = Slice(from_ns(start_ns), MappingProxyType(ordered), missing, revision)
        self._released[start_ns] = released
        self._released_ns = max(self._released_ns, start_ns)
        if len(self._released) > MAX_REVISABLE:
            self._released.popitem(last=False)
        return released

    def _revise(self, record: LiveBar) -> Slice:
        before = self._released.get(record.start_ns)
        bars = dict(before.bars) if before else {}
        revision = before.revision + 1 if before else 1
        return self._release(record.start_ns, bars | {record.symbol: record.bar()}, revision)
