"""Where each symbol of a reader begins, and where it goes on after a restart."""

import time
from collections.abc import Callable, Iterable, Mapping

from lean_lite.model.timestamps import SECOND_NS
from lean_lite.protocol.bookmark import Bookmark, StartPosition
from lean_lite.protocol.live import IN_ORDER_ORIGINS, LiveBar
from lean_lite.protocol.partitions import lane_of


class StartPositions:
    """
    Know for every symbol which of its live bars count.

    Symbols share lanes, and a reader may come back with others than it had: those that its bookmark
    knows go on there, and the others are new until `join`. No input or output.
    """

    def __init__(self, symbols: Iterable[str], since_ns: int | None) -> None:
        """Hold new symbols only; they begin at `since_ns`, or else with the next bar."""
        self.since_ns = since_ns
        self._symbols = tuple(dict.fromkeys(symbols))
        self._joined: dict[str, StartPosition] = {}
        self._done: dict[str, int] = {}
        self._beginning = LiveStart()
        self._begun: frozenset[str] = frozenset()

    @property
    def new(self) -> tuple[str, ...]:
        """Return the symbols that have no place yet."""
        return tuple(symbol for symbol in self._symbols if symbol not in self._joined)

    @property
    def joined(self) -> dict[str, StartPosition]:
        """Return the place of every symbol that has one."""
        return {
            symbol: StartPosition(seq, max(start_ns, self._beginning.first_ns(symbol)))
            for symbol, (seq, start_ns) in self._joined.items()
        }

    def resume(self, bookmark: Bookmark, ends: Mapping[str, int]) -> dict[str, int]:
        """
        Take the places of a bookmark, and return the frame that each lane goes on behind.

        A lane of new symbols only goes on at its end, which `ends` tells.
        """
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
        """Let all new symbols begin behind these frames."""
        new = self.new
        if self.since_ns is None:
            self._begun = frozenset(new)
        for symbol in new:
            self._joined[symbol] = StartPosition(
                through.get(lane_name(symbol), 0), self.since_ns or 0
            )

    def includes(self, record: LiveBar) -> bool:
        """Say whether a live record counts."""
        seq, start_ns = self._joined[record.symbol]
        if record.seq <= seq or record.start_ns < start_ns:
            return False
        return record.symbol not in self._begun or self._beginning.includes(record)

    def was_delivered(self, record: LiveBar) -> bool:
        """Say whether a stored record of a known symbol came before the restart."""
        done = self._done.get(lane_name(record.symbol), 0)
        return record.seq <= max(done, self._joined[record.symbol].seq)


def lane_name(symbol: str) -> str:
    """Return a symbol's lane as messages name it."""
    return str(lane_of(symbol))


class LiveStart:
    """
    Tell the bars of a stream's time from those that come late for an earlier one.

    A symbol begins with its first bar in time, and at the latest with the bar that was under way
    when the stream began: a hole that is filled from there on belongs to it.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """Begin now."""
        self._now_ns = clock()
        self._first_ns: dict[str, int] = {}

    def first_ns(self, symbol: str) -> int:
        """Return the earliest start of a symbol that counts; 0 before its first bar in time."""
        return self._first_ns.get(symbol, 0)

    def includes(self, record: LiveBar) -> bool:
        """Take a record; False when it is older than the stream."""
        symbol, start_ns = record.symbol, record.start_ns
        under_way_ns = self._now_ns - record.resolution_s * SECOND_NS
        if symbol not in self._first_ns and record.origin in IN_ORDER_ORIGINS:
            # A replayed market has its own time, which may be far behind ours.
            self._first_ns[symbol] = min(start_ns, under_way_ns)
        return start_ns >= self._first_ns.get(symbol, under_way_ns)
