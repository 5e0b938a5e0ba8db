"""DeliveryStats: counts and latencies of the bars that a strategy receives."""

import time
from collections import OrderedDict, deque

from lean_lite.protocol.live import LiveBar

KEYS_MAX = 1_000_000
LATENCIES_MAX = 100_000


class DeliveryStats:
    """
    Delivered and duplicated bars, and their latency from the feed to here.

    A bar that arrives again with other values is a revision, not a duplicate. Memory is bounded:
    it holds the last million bars and the last 100,000 latencies.
    """

    def __init__(self, *, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self.delivered = 0
        self.duplicated = 0
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_MAX)

    def add(self, bar: LiveBar) -> float | None:
        """Count a bar; returns its latency in milliseconds, None for a late bar."""
        self.delivered += 1
        key = (bar.symbol, bar.start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume)
        if key in self._seen:
            self.duplicated += 1
        self._seen[key] = None
        if len(self._seen) > self._keys_max:
            self._seen.popitem(last=False)
        if bar.late or not bar.wall_ns:
            return None
        latency_ms = (time.time_ns() - bar.wall_ns) / 1e6
        self._latencies_ms.append(latency_ms)
        return latency_ms

    def latency_ms(self) -> dict[str, float | None]:
        """Return median and 99th percentile in milliseconds; None before the first bar."""
        ordered = sorted(self._latencies_ms)
        return {"p50": _quantile(ordered, 0.5), "p99": _quantile(ordered, 0.99)}


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3)
