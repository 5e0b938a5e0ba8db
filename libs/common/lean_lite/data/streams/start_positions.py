"""StartPositions: where each symbol of a reader starts, also after a restart, without I/O."""

import time
from collections.abc import Callable, Iterable, Mapping

from lean_lite.model.timestamps import SECOND_NS
from lean_lite.protocol.bookmark import Bookmark, StartPosition
from lean_lite.protocol.live import IN_ORDER_ORIGINS, LiveBar
from lean_lite.protocol.partitions import lane_of


class StartPositions:
    """
    Start position of every symbol: which of its live records count.

    Symbols share lanes, and a reader may be restarted with other symbols than before. Those in its
    bookmark resume there, the others are new and have no position until `join`.

    Args:
        symbols: the symbols.
        since_ns: where history of new symbols starts, in nanoseconds since 1970 (UTC); None to
            start with their next live bar.
    """

    def __init__(self, symbols: Iterable[str], since_ns: int | None) -> None:
        self.since_ns = since_ns
        self._symbols = tuple(dict.fromkeys(symbols))
        self._joined: dict[str, StartPosition] = {}
        self._done: dict[str, int] = {}
        self._live_start = LiveStart()
        self._live_only: frozenset[str] = frozenset()

    @property
    def new(self) -> tuple[str, ...]:
        """Symbols without a position."""
        return tuple(symbol for symbol in self._symbols if symbol not in self._joined)

    @property
    def joined(self) -> dict[str, StartPosition]:
        """Position of every symbol that has one, to be written to the bookmark."""
        return {
            symbol: StartPosition(seq, max(start_ns, self._live_start.first_ns(symbol)))
            for symbol, (seq, start_ns) in self._joined.items()
        }

    def resume(self, bookmark: Bookmark, ends: Mapping[str, int]) -> dict[str, int]:
        """
        Take positions from a bookmark.

        Args:
            bookmark: the bookmark of the reader's name.
            ends: last GRADED sequence of every lane, where a lane of only new symbols starts.

        Returns:
            The GRADED sequence by lane after which live records are needed.
        """
        # Bookmarks of earlier versions have no symbols: all of their lanes count as read.
        known = bookmark.symbols or {
            symbol: StartPosition(0, 0)
            for symbol in self._symbols
            if lane_name(symbol) in bookmark.done
        }
        self._done = bookmark.done
        self._joined = {symbol: known[symbol] for symbol in self._symbols if symbol in known}
        after = {lane: ends.get(lane, 0) for lane in map(lane_name, self.new)}
        return after | {lane: self._done.get(lane, 0) for lane in map(lane_name, self._joined)}

    def join(self, through: Mapping[str, int]) -> None:
        """Start all new symbols after these sequences of their lanes."""
        new = self.new
        if self.since_ns is None:
            self._live_only = frozenset(new)
        for symbol in new:
            self._joined[symbol] = StartPosition(
                through.get(lane_name(symbol), 0), self.since_ns or 0
            )

    def includes(self, record: LiveBar) -> bool:
        """Whether a live record counts: it is after the start position of its symbol."""
        seq, start_ns = self._joined[record.symbol]
        if record.seq <= seq or record.start_ns < start_ns:
            return False
        return record.symbol not in self._live_only or self._live_start.includes(record)

    def was_delivered(self, record: LiveBar) -> bool:
        """Whether a stored record of a resumed symbol was delivered before the restart."""
        done = self._done.get(lane_name(record.symbol), 0)
        return record.seq <= max(done, self._joined[record.symbol].seq)


def lane_name(symbol: str) -> str:
    """Return a symbol's lane as messages name it."""
    return str(lane_of(symbol))


class LiveStart:
    """
    First minute of a stream without history, by symbol.

    A symbol starts with its first bar that is in time, and at the latest with the bar that was
    in progress when the stream was created: bars that fill a gap from there on are included. Late
    bars of earlier minutes are not.

    Args:
        clock: current time in nanoseconds since 1970 (UTC); read once.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = clock()
        self._first_ns: dict[str, int] = {}

    def first_ns(self, symbol: str) -> int:
        """Return the earliest start of a symbol that counts; 0 before its first bar in time."""
        return self._first_ns.get(symbol, 0)

    def includes(self, record: LiveBar) -> bool:
        """Add a record; False if it is older than the stream."""
        symbol, start_ns = record.symbol, record.start_ns
        in_progress_ns = self._now_ns - record.resolution_s * SECOND_NS
        if symbol not in self._first_ns and record.origin in IN_ORDER_ORIGINS:
            # A replayed market has a time of its own, which may be far behind the clock.
            self._first_ns[symbol] = min(start_ns, in_progress_ns)
        return start_ns >= self._first_ns.get(symbol, in_progress_ns)
