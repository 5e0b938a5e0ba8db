"""Latency histogram with logarithmic buckets, as in HdrHistogram."""

import math
from collections.abc import Iterable

# 128 buckets per doubling make a relative error of at most 0.6 %.
BUCKETS_PER_DOUBLING = 128
LOWEST_MS = 0.001
DOUBLINGS = 33  # up to 2**33 µs, about 2.4 hours
BUCKETS = BUCKETS_PER_DOUBLING * DOUBLINGS


class Histogram:
    """
    Histogram of latencies in milliseconds.

    The buckets reach from 1 µs to 2.4 hours; latencies outside count in the first or last one.
    The relative error of a percentile is at most 0.6 %. Not thread-safe.

    Args:
        counts: initial counts by bucket, as `counts` returns them.
    """

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0
        for bucket, count in counts:
            self._add(bucket, count)

    def record(self, value_ms: float) -> None:
        """Count a latency."""
        self._add(_bucket_of(value_ms), 1)

    def counts(self) -> list[tuple[int, int]]:
        """Return bucket and count of all buckets that are not empty, in order."""
        return sorted(self._counts.items())

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram."""
        for bucket, count in other.counts():
            self._add(bucket, count)

    def percentile(self, share: float) -> float:
        """Return the percentile of a share of 0 to 1, in milliseconds; 0 if nothing was counted."""
        if not self.total:
            return 0.0
        rank = max(math.ceil(share * self.total), 1)
        cumulated = 0
        for bucket, count in self.counts():
            cumulated += count
            if cumulated >= rank:
                return _value_of(bucket)
        raise AssertionError

    def _add(self, bucket: int, count: int) -> None:
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += count


def _bucket_of(value_ms: float) -> int:
    if value_ms <= LOWEST_MS:
        return 0
    bucket = int(math.log2(value_ms / LOWEST_MS) * BUCKETS_PER_DOUBLING)
    return min(bucket, BUCKETS - 1)


def _value_of(bucket: int) -> float:
    """Return the (geometric) middle of a bucket in milliseconds."""
    return float(LOWEST_MS * 2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING))
