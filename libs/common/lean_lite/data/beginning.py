"""From which minute on a stream counts that begins with the next bar."""

import time
from collections.abc import Callable

from lean_lite.algorithm.data_models import NS_PER_S
from lean_lite.messages import PUNCTUAL, LiveBar


class Beginning:
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
        under_way_ns = self._now_ns - record.resolution_s * NS_PER_S
        if symbol not in self._first_ns and record.origin in PUNCTUAL:
            # A replayed market has its own time, which may be far behind ours.
            self._first_ns[symbol] = min(start_ns, under_way_ns)
        return start_ns >= self._first_ns.get(symbol, under_way_ns)
