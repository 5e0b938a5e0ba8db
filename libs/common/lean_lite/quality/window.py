"""
What the grader remembers of a lane: its last 120 minutes of event time.

The content of a window is a function of the frames since its `tail` and of nothing else, so
that a new owner who reads those frames again holds the same window, and grades on with equal bytes.
"""

from collections import deque
from typing import NamedTuple

from lean_lite.model.timestamps import SECOND_NS

SPAN_NS = 120 * 60 * SECOND_NS
_SLACK = 256  # entries a symbol may hold before the old ones are swept


class _Frame(NamedTuple):
    seq: int
    last_start_ns: int


class SeenRecord(NamedTuple):
    """Hold what was last seen of one record: its values as bytes, and its price."""

    values: bytes
    price: float


class Window:
    """Remember the bars of a lane within 120 minutes before its newest one."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._frames: deque[_Frame] = deque()
        self._bars: dict[str, dict[int, SeenRecord]] = {}
        self._newest_of: dict[str, int] = {}
        self._newest_ns = 0

    def advance(self, seq: int, last_start_ns: int) -> None:
        """Let a frame enter, whose newest good bar starts then, and old frames leave."""
        self._newest_ns = max(self._newest_ns, last_start_ns)
        self._frames.append(_Frame(seq, last_start_ns))
        while self._frames and self._frames[0].last_start_ns < self.horizon_ns:
            self._frames.popleft()

    @property
    def horizon_ns(self) -> int:
        """Return the start of the oldest bar that may be remembered."""
        return self._newest_ns - SPAN_NS

    def tail(self, seq: int) -> int:
        """Return the sequence of the oldest frame in the window, or the given one if empty."""
        return self._frames[0].seq if self._frames else seq

    def seen(self, symbol: str, start_ns: int) -> SeenRecord | None:
        """Return what was last seen of this very bar."""
        if start_ns < self.horizon_ns:
            return None
        return self._bars.get(symbol, {}).get(start_ns)

    def previous(self, symbol: str, start_ns: int) -> SeenRecord | None:
        """Return the symbol's newest bar that starts earlier."""
        newest_ns = self._newest_of.get(symbol, start_ns)
        if newest_ns < start_ns:  # in order, as nearly all are
            return self.seen(symbol, newest_ns)
        bars = self._bars.get(symbol, {})
        earlier = max((at for at in bars if self.horizon_ns <= at < start_ns), default=None)
        return None if earlier is None else bars[earlier]

    def add(self, symbol: str, start_ns: int, known: SeenRecord) -> None:
        """Keep a bar; one older than the window is not kept."""
        if start_ns < self.horizon_ns:
            return
        bars = self._bars.setdefault(symbol, {})
        bars[start_ns] = known
        self._newest_of[symbol] = max(start_ns, self._newest_of.get(symbol, start_ns))
        if len(bars) > _SLACK:
            horizon_ns = self.horizon_ns
            self._bars[symbol] = {at: bar for at, bar in bars.items() if at >= horizon_ns}
