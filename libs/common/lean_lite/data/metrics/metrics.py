"""How a data pipeline is doing, in figures."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import msgspec

from lean_lite.data.metrics.histogram import Histogram
from lean_lite.data.metrics.rate import RateCounter
from lean_lite.model import DataQualityLevel

WINDOWS_S = (1, 10, 60)


class MetricsSnapshot(msgspec.Struct, frozen=True):
    """Carry the figures of one process to another; all of it adds up, but the maximum and level."""

    messages: int = 0
    errors: int = 0
    latency_sum_ms: float = 0.0
    latency_max_ms: float = 0.0
    latencies: list[tuple[int, int]] = []
    quality: dict[str, int] = {}
    cache_hits: int = 0
    cache_misses: int = 0
    buffer_utilization: float = 0.0
    uptime_s: float = 0.0
    rates: dict[int, float] = {}


class DataMetrics:
    """
    Count messages, latencies, errors, grades and cache hits; every method is thread-safe.

    Latencies are milliseconds, utilisation is a percentage. Percentiles are told to within 0.6 %.
    Numbers may be numpy's; a count that is not whole and a figure not finite are ValueErrors.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at nought; `clock` tells seconds."""
        self._clock = clock
        self._started_s = clock()
        self._lock = threading.Lock()
        self._histogram = Histogram()
        self._rate = RateCounter(self._started_s)
        self._messages = 0
        self._errors = 0
        self._latency_sum_ms = 0.0
        self._latency_max_ms = 0.0
        self._quality: Counter[str] = Counter()
        self._hits = 0
        self._misses = 0
        self._utilization = 0.0
        self._merged_rates = dict.fromkeys(WINDOWS_S, 0.0)
        self._merged_uptime_s = 0.0

    def increment_messages(self, count: int = 1) -> None:
        """Count messages that were processed."""
        count = _as_count(count)
        with self._lock:
            self._messages += count
            self._rate.add(self._clock(), count)

    def update_latency(self, latency_ms: float) -> None:
        """Count a latency; one below nought, as skewed clocks give, counts as nought."""
        self.update_latencies((latency_ms,))

    def update_latencies(self, latencies_ms: Sequence[float]) -> None:
        """Count latencies as `update_latency` does; when one is no number, none is counted."""
        counted = [
            max(_finite("a latency is a number of milliseconds", latency_ms), 0.0)
            for latency_ms in latencies_ms
        ]
        with self._lock:
            for latency_ms in counted:
                self._histogram.record(latency_ms)
            self._latency_sum_ms += sum(counted)
            self._latency_max_ms = max(self._latency_max_ms, max(counted, default=0.0))

    def increment_errors(self, count: int = 1) -> None:
        """Count errors."""
        count = _as_count(count)
        with self._lock:
            self._errors += count

    def record_quality(self, level: DataQualityLevel, count: int = 1) -> None:
        """Count records of a grade."""
        count = _as_count(count)
        with self._lock:
            self._quality[level.name] += count

    def record_cache(self, hit: bool) -> None:  # noqa: FBT001 - the one thing there is to say
        """Count a look into a cache."""
        with self._lock:
            self._hits += bool(hit)
            self._misses += not hit

    def set_buffer_utilization(self, percent: float) -> None:
        """Say how full the buffer is."""
        self._utilization = _finite("utilisation is a percentage", percent)

    @property
    def total_messages(self) -> int:
        """Return how many messages were processed."""
        return self._messages

    @property
    def messages_per_second(self) -> float:
        """Return the mean rate of the last ten finished seconds, or of all when they are fewer."""
        return self.snapshot().rates[10]

    @property
    def error_count(self) -> int:
        """Return how many errors there were."""
        return self._errors

    @property
    def average_latency_ms(self) -> float:
        """Return the mean latency; 0 of none."""
        return self._latency_sum_ms / self._histogram.total if self._histogram.total else 0.0

    @property
    def average_quality_score(self) -> float | None:
        """Return the mean score of all graded records; None of none."""
        with self._lock:
            return _mean_score(self._quality)

    @property
    def cache_hit_rate(self) -> float:
        """Return the share of looks that found something, 0 to 1; 0 of none."""
        looks = self._hits + self._misses
        return self._hits / looks if looks else 0.0

    @property
    def buffer_utilization(self) -> float:
        """Return how full the buffer is, 0 to 100."""
        return self._utilization

    def to_dict(self) -> dict[str, Any]:
        """Return all figures by name, as JSON can carry them."""
        rates = self.snapshot().rates
        with self._lock:
            p50, p99 = self._histogram.percentile(0.5), self._histogram.percentile(0.99)
            return {
                "total_messages": self._messages,
                "messages_per_second": rates[10],
                "rates": {f"{window}s": rate for window, rate in rates.items()},
                "average_latency_ms": self.average_latency_ms,
                "latency_p50_ms": min(p50, self._latency_max_ms),
                "latency_p99_ms": min(p99, self._latency_max_ms),
                "latency_max_ms": self._latency_max_ms,
                "error_count": self._errors,
                "average_quality_score": _mean_score(self._quality),
                "quality": {level.name: self._quality[level.name] for level in _BEST_FIRST},
                "cache_hits": self._hits,
                "cache_misses": self._misses,
                "cache_hit_rate": self.cache_hit_rate,
                "buffer_utilization": self._utilization,
                "uptime_s": max(self._clock() - self._started_s, self._merged_uptime_s),
            }

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return msgspec.json.encode(self.to_dict()).decode()

    def snapshot(self) -> MetricsSnapshot:
        """Return what another process needs to add these figures to its own."""
        with self._lock:
            now_s = self._clock()
            return MetricsSnapshot(
                self._messages,
                self._errors,
                self._latency_sum_ms,
                self._latency_max_ms,
                self._histogram.counts(),
                dict(self._quality),
                self._hits,
                self._misses,
                self._utilization,
                max(now_s - self._started_s, self._merged_uptime_s),
                {
                    window: self._rate.per_second(now_s, window) + self._merged_rates[window]
                    for window in WINDOWS_S
                },
            )

    def merge(self, other: "DataMetrics | MetricsSnapshot") -> None:
        """
        Add the figures of another process.

        Sums, rates and histograms add up; of the maxima, utilisations and uptimes the highest
        counts. Rates stay as they were in the moment of the snapshot.
        """
        told = other.snapshot() if isinstance(other, DataMetrics) else other
        with self._lock:
            self._messages += told.messages
            self._errors += told.errors
            self._latency_sum_ms += told.latency_sum_ms
            self._latency_max_ms = max(self._latency_max_ms, told.latency_max_ms)
            self._histogram.merge(Histogram(told.latencies))
            self._quality.update(told.quality)
            self._hits += told.cache_hits
            self._misses += told.cache_misses
            self._utilization = max(self._utilization, told.buffer_utilization)
            self._merged_uptime_s = max(self._merged_uptime_s, told.uptime_s)
            for window, rate in told.rates.items():
                self._merged_rates[window] = self._merged_rates.get(window, 0.0) + rate

    @classmethod
    def merged(cls, parts: Iterable["DataMetrics | MetricsSnapshot"]) -> Self:
        """Return the figures of several processes as one."""
        whole = cls()
        for part in parts:
            whole.merge(part)
        return whole


_BEST_FIRST = sorted(DataQualityLevel, reverse=True)


def _as_count(count: int) -> int:
    if type(count) is int:
        return count
    if not math.isfinite(count) or (whole := int(count)) != count:
        message = f"a count is a whole number, not {count}"
        raise ValueError(message)
    return whole


def _finite(what: str, value: float) -> float:
    if not math.isfinite(value):
        message = f"{what}, not {value}"
        raise ValueError(message)
    return float(value)


def _mean_score(quality: Counter[str]) -> float | None:
    count = quality.total()
    if not count:
        return None
    return sum(DataQualityLevel[name].value * n for name, n in quality.items()) / count
