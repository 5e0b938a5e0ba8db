"""Deduplicator: which bars and versions have been delivered to a reader."""

from heapq import heappop, heappush
from typing import NamedTuple

from lean_lite.protocol.bookmark import DeliveredBar
from lean_lite.protocol.live import LiveBar


class _Version(NamedTuple):
    seq: int
    values: int | None  # a hash; None for a bar that was delivered before a restart


class Deduplicator:
    """
    Delivered bars by symbol and start, and the version of each.

    Args:
        bound: number of newest bars per symbol that are remembered. Older ones count as delivered.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._versions: dict[str, dict[int, _Version]] = {}
        self._starts: dict[str, list[int]] = {}
        self._forgotten_ns: dict[str, int] = {}

    def is_new(self, record: LiveBar | DeliveredBar) -> bool:
        """Add a bar; False if it was added before, in any version."""
        symbol, start_ns = record.symbol, record.start_ns
        versions = self._versions.setdefault(symbol, {})
        if start_ns in versions or start_ns <= self._forgotten_ns.get(symbol, -1):
            return False
        versions[start_ns] = _version(record)
        starts = self._starts.setdefault(symbol, [])
        heappush(starts, start_ns)
        if len(starts) > self._bound:
            # Forget the oldest start, not the first arrival: a live bar arrives before the bars
            # that fill a long gap in front of it.
            self._forgotten_ns[symbol] = heappop(starts)
            del versions[self._forgotten_ns[symbol]]
        return True

    def is_newer_version(self, record: LiveBar) -> bool:
        """Replace the version of an added bar; False if the record is not newer."""
        versions = self._versions[record.symbol]
        before = versions.get(record.start_ns)
        if before is None:
            return True  # older than what is remembered
        if record.seq < before.seq:
            return False
        new = _version(record)
        # One frame may have two versions of a bar; history and live may both have the same one.
        if record.seq == before.seq and before.values in (None, new.values):
            return False
        versions[record.start_ns] = new
        return True


def _version(record: LiveBar | DeliveredBar) -> _Version:
    if isinstance(record, DeliveredBar):
        return _Version(record.seq, None)
    prices = (record.open, record.high, record.low, record.close)
    return _Version(record.seq, hash((*prices, record.volume, record.vwap, record.trade_count)))
