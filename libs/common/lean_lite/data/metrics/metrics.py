"""DataMetrics: thread-safe counters, latency percentiles and rates, merged across processes."""

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
    """
    Metrics of one process as a plain value, to encode and merge in another process.

    Args:
        messages: number of processed messages.
        errors: number of errors.
        latency_sum_ms: sum of all latencies, in milliseconds.
        latency_max_ms: highest latency, in milliseconds.
        latencies: histogram of latencies, bucket and count.
        quality: number of records by name of their grade.
        cache_hits: cache look-ups that found an entry.
        cache_misses: cache look-ups that found none.
        buffer_utilization: percentage of the buffer in use, 0 to 100.
        uptime_s: seconds since the start.
        rates: messages per second by window in seconds.
    """

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
    Counters of messages, latencies, errors, grades and cache look-ups. Thread-safe.

    Latencies are milliseconds, utilisation is a percentage. The relative error of a percentile is
    at most 0.6 %. Numbers may be numpy's.

    Args:
        clock: current time in seconds, monotonic; pass your own to make tests repeatable.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
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
        """
        Count processed messages.

        Args:
            count: number of messages.

        Raises:
            ValueError: the count is not a whole number.
        """
        count = _as_count(count)
        with self._lock:
            self._messages += count
            self._rate.add(self._clock(), count)

    def update_latency(self, latency_ms: float) -> None:
        """
        Count one latency.

        Args:
            latency_ms: milliseconds; a negative one, from clocks that differ, counts as 0.

        Raises:
            ValueError: the latency is not finite.
        """
        self.update_latencies((latency_ms,))

    def update_latencies(self, latencies_ms: Sequence[float]) -> None:
        """
        Count latencies, all or none.

        Args:
            latencies_ms: milliseconds; negative ones count as 0.

        Raises:
            ValueError: a latency is not finite.
        """
        counted = [max(_finite("a latency", latency_ms), 0.0) for latency_ms in latencies_ms]
        with self._lock:
            for latency_ms in counted:
                self._histogram.record(latency_ms)
            self._latency_sum_ms += sum(counted)
            self._latency_max_ms = max(self._latency_max_ms, max(counted, default=0.0))

    def increment_errors(self, count: int = 1) -> None:
        """
        Count errors.

        Args:
            count: number of errors.

        Raises:
            ValueError: the count is not a whole number.
        """
        count = _as_count(count)
        with self._lock:
            self._errors += count

    def record_quality(self, level: DataQualityLevel, count: int = 1) -> None:
        """
        Count records of a grade.

        Args:
            level: the grade.
            count: number of records.

        Raises:
            ValueError: the count is not a whole number.
        """
        count = _as_count(count)
        with self._lock:
            self._quality[level.name] += count

    def record_cache(self, hit: bool) -> None:  # noqa: FBT001 - its only argument
        """
        Count a cache look-up.

        Args:
            hit: whether it found an entry.
        """
        with self._lock:
            self._hits += bool(hit)
            self._misses += not hit

    def set_buffer_utilization(self, percent: float) -> None:
        """
        Set the utilisation of the buffer.

        Args:
            percent: 0 to 100.

        Raises:
            ValueError: the percentage is not finite.
        """
        self._utilization = _finite("a utilisation", percent)

    @property
    def total_messages(self) -> int:
        """Number of processed messages."""
        return self._messages

    @property
    def messages_per_second(self) -> float:
        """Mean rate over the last ten finished seconds, or over all if fewer."""
        return self.snapshot().rates[10]

    @property
    def error_count(self) -> int:
        """Number of errors."""
        return self._errors

    @property
    def average_latency_ms(self) -> float:
        """Mean latency in milliseconds; 0 if none was counted."""
        return self._latency_sum_ms / self._histogram.total if self._histogram.total else 0.0

    @property
    def average_quality_score(self) -> float | None:
        """Mean score of the graded records, 0 to 1; None if none was counted."""
        with self._lock:
            return _mean_score(self._quality)

    @property
    def cache_hit_rate(self) -> float:
        """Share of cache look-ups that found an entry, 0 to 1; 0 if none was counted."""
        total = self._hits + self._misses
        return self._hits / total if total else 0.0

    @property
    def buffer_utilization(self) -> float:
        """Percentage of the buffer in use, 0 to 100."""
        return self._utilization

    def to_dict(self) -> dict[str, Any]:
        """
        Return all metrics by name.

        Returns:
            A new dict that JSON can encode: counts, `messages_per_second` (over ten seconds),
            `rates` by window (`"1s"`, `"10s"`, `"60s"`), latencies in milliseconds (mean, 50th
            and 99th percentile, maximum), `quality` (count by grade), `cache_hit_rate` (0 to 1),
            `buffer_utilization` (percent) and `uptime_s`.
        """
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
        """Return `to_dict` as JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def snapshot(self) -> MetricsSnapshot:
        """
        Return the current metrics as a plain value.

        Returns:
            A snapshot that msgspec can encode, for `merge` in another process.
        """
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
        Add the metrics of another process.

        Counts, rates and histograms are summed; of maxima, utilisations and uptimes the highest
        is taken. A merged rate stays as it was at the time of the snapshot.

        Args:
            other: metrics, or a snapshot of them.
        """
        snapshot = other.snapshot() if isinstance(other, DataMetrics) else other
        with self._lock:
            self._messages += snapshot.messages
            self._errors += snapshot.errors
            self._latency_sum_ms += snapshot.latency_sum_ms
            self._latency_max_ms = max(self._latency_max_ms, snapshot.latency_max_ms)
            self._histogram.merge(Histogram(snapshot.latencies))
            self._quality.update(snapshot.quality)
            self._hits += snapshot.cache_hits
            self._misses += snapshot.cache_misses
            self._utilization = max(self._utilization, snapshot.buffer_utilization)
            self._merged_uptime_s = max(self._merged_uptime_s, snapshot.uptime_s)
            for window, rate in snapshot.rates.items():
                self._merged_rates[window] = self._merged_rates.get(window, 0.0) + rate

    @classmethod
    def merged(cls, parts: Iterable["DataMetrics | MetricsSnapshot"]) -> Self:
        """
        Merge the metrics of several processes.

        Args:
            parts: metrics or snapshots.

        Returns:
            New metrics; see `merge`.
        """
        total = cls()
        for part in parts:
            total.merge(part)
        return total


_BEST_FIRST = sorted(DataQualityLevel, reverse=True)


def _as_count(count: int) -> int:
    if type(count) is int:
        return count
    if not math.isfinite(count) or (number := int(count)) != count:
        message = f"a count must be a whole number, not {count}"
        raise ValueError(message)
    return number


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        message = f"{name} must be a finite number, not {value}"
        raise ValueError(message)
    return float(value)


def _mean_score(quality: Counter[str]) -> float | None:
    count = quality.total()
    if not count:
        return None
    return sum(DataQualityLevel[name].value * n for name, n in quality.items()) / count
