"""Which bars a reader has had already."""

from heapq import heappop, heappush
from typing import NamedTuple

from lean_lite.protocol.bookmark import DeliveredBar
from lean_lite.protocol.live import LiveBar


class _Version(NamedTuple):
    seq: int
    values: int | None  # a hash; nothing is known of the values of what was taken before a restart


class Deduplicator:
    """Remember the newest bars of every symbol, and the version that each came in."""

    def __init__(self, bound: int) -> None:
        """Keep so many bars of a symbol; older ones are known without being remembered."""
        self._bound = bound
        self._versions: dict[str, dict[int, _Version]] = {}
        self._starts: dict[str, list[int]] = {}
        self._older_ns: dict[str, int] = {}

    def is_new(self, record: LiveBar | DeliveredBar) -> bool:
        """Take a bar; True when it is not known yet."""
        symbol, start_ns = record.symbol, record.start_ns
        versions = self._versions.setdefault(symbol, {})
        if start_ns in versions or start_ns <= self._older_ns.get(symbol, -1):
            return False
        versions[start_ns] = _version(record)
        starts = self._starts.setdefault(symbol, [])
        heappush(starts, start_ns)
        if len(starts) > self._bound:
            # Not the one that came first: a live bar comes before the long hole that it ends.
            self._older_ns[symbol] = heappop(starts)
            del versions[self._older_ns[symbol]]
        return True

    def is_newer_version(self, record: LiveBar) -> bool:
        """Take a later version of a known bar; False when it is none."""
        versions = self._versions[record.symbol]
        known = versions.get(record.start_ns)
        if known is None:
            return True  # older than what is remembered
        if record.seq < known.seq:
            return False
        new = _version(record)
        # Two versions may come in one frame; the same one may come from history and live.
        if record.seq == known.seq and known.values in (None, new.values):
            return False
        versions[record.start_ns] = new
        return True


def _version(record: LiveBar | DeliveredBar) -> _Version:
    if isinstance(record, DeliveredBar):
        return _Version(record.seq, None)
    prices = (record.open, record.high, record.low, record.close)
    return _Version(record.seq, hash((*prices, record.volume, record.vwap, record.trade_count)))
