"""
Window: what a grader has seen of a lane within 120 minutes of event time.

Its content is a function of the frames since its `tail` and of nothing else: a new owner that reads
those frames again has the same window, and writes the same bytes as the former owner would have.
"""

from collections import deque
from typing import NamedTuple

from lean_lite.model.timestamps import SECOND_NS

SPAN_NS = 120 * 60 * SECOND_NS
_SLACK = 256  # entries of a symbol before old ones are removed: twice the minutes of the window


class _Frame(NamedTuple):
    seq: int
    last_start_ns: int


class SeenRecord(NamedTuple):
    """Newest version of a record: its values as bytes, and its price."""

    values: bytes
    price: float


class Window:
    """Valid records of a lane from 120 minutes before its newest one on."""

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque()
        self._bars: dict[str, dict[int, SeenRecord]] = {}
        self._newest_of: dict[str, int] = {}
        self._newest_ns = 0

    def advance(self, seq: int, last_start_ns: int) -> None:
        """Add a frame by the start of its newest valid record; drop frames before the horizon."""
        self._newest_ns = max(self._newest_ns, last_start_ns)
        self._frames.append(_Frame(seq, last_start_ns))
        while self._frames and self._frames[0].last_start_ns < self.horizon_ns:
            self._frames.popleft()

    @property
    def horizon_ns(self) -> int:
        """Start of the oldest record that belongs to the window."""
        return self._newest_ns - SPAN_NS

    def tail(self, seq: int) -> int:
        """Return the sequence of the oldest frame in the window; `seq` if it has none."""
        return self._frames[0].seq if self._frames else seq

    def seen(self, symbol: str, start_ns: int) -> SeenRecord | None:
        """Return the newest version of a record, or None if it is not in the window."""
        if start_ns < self.horizon_ns:
            return None
        return self._bars.get(symbol, {}).get(start_ns)

    def previous(self, symbol: str, start_ns: int) -> SeenRecord | None:
        """Return the symbol's newest record with an earlier start, or None."""
        newest_ns = self._newest_of.get(symbol, start_ns)
        if newest_ns < start_ns:  # in order, as nearly all records are
            return self.seen(symbol, newest_ns)
        bars = self._bars.get(symbol, {})
        earlier = max((at for at in bars if self.horizon_ns <= at < start_ns), default=None)
        return None if earlier is None else bars[earlier]

    def add(self, symbol: str, start_ns: int, record: SeenRecord) -> None:
        """Add a record, or replace its version; ignore one before the horizon."""
        if start_ns < self.horizon_ns:
            return
        bars = self._bars.setdefault(symbol, {})
        bars[start_ns] = record
        self._newest_of[symbol] = max(start_ns, self._newest_of.get(symbol, start_ns))
        if len(bars) > _SLACK:
            horizon_ns = self.horizon_ns
            self._bars[symbol] = {at: bar for at, bar in bars.items() if at >= horizon_ns}
