"""Longer bars from live ones, as they come."""

from datetime import datetime, timedelta
from typing import NamedTuple

from lean_lite.algorithm.data_models import NS_PER_S, Resolution, TradeBar, to_ns
from lean_lite.blocks import from_bars
from lean_lite.blocks.resample import check_longer, resample
from lean_lite.market.buckets import Buckets
from lean_lite.market.symbols import asset_class_of

KEPT = timedelta(days=1)


class Resampled(NamedTuple):
    """
    Hold a longer bar, how often it was given before, and whether time of it is missing.

    A bar of a higher `revision` takes the place of the one with the same symbol and start.
    """

    bar: TradeBar
    revision: int
    partial: bool


class Resampler:
    """
    Fold bars into longer ones while they come: the same numbers as `resample_bars` has.

    A longer bar is given when its last shorter bar is there, when a later one comes, or when
    `close` is told that its time is over; again whenever a correction or a late bar changes it, up
    to a day after (`kept`). `late` counts the bars that came after that and changed nothing.
    """

    def __init__(
        self,
        resolution: Resolution | timedelta,
        *,
        extended: bool = True,
        kept: timedelta = KEPT,
    ) -> None:
        """Take the length to make; without `extended`, only regular trading counts."""
        self._resolution = Resolution.of(resolution)
        self._extended = extended
        self._kept_ns = int(kept.total_seconds()) * NS_PER_S
        self._series: dict[str, _Series] = {}

    @property
    def late(self) -> int:
        """Return how many bars came too late to be folded."""
        return sum(series.late for series in self._series.values())

    def add(self, bar: TradeBar) -> list[Resampled]:
        """Take a bar; return what is complete or changed by it, in order of start."""
        series = self._series.get(bar.symbol)
        if series is None:
            check_longer(bar.resolution, self._resolution)
            buckets = Buckets(asset_class_of(bar.symbol), self._resolution.seconds)
            series = _Series(self._resolution, buckets, self._kept_ns, extended=self._extended)
            self._series[bar.symbol] = series
        return series.add(bar)

    def close(self, now: datetime) -> list[Resampled]:
        """Return the bars whose trading is over at a moment, for symbols that are silent."""
        now_ns = to_ns(now)
        return [made for series in self._series.values() for made in series.close(now_ns)]

    def flush(self) -> list[Resampled]:
        """Return the bars that are still open, marked as partial when trading is left in them."""
        return [made for series in self._series.values() for made in series.flush()]


class _Bucket:
    """Hold the bars of one bucket, and what was last given of it."""

    def __init__(self, start_ns: int, trading: tuple[int, int]) -> None:
        self.start_ns = start_ns
        self.begin_ns, self.end_ns = trading
        self.bars: dict[int, TradeBar] = {}
        self.until_ns = 0
        self.is_closed = False
        self.given: Resampled | None = None


class _Series:
    """Fold the bars of one symbol."""

    def __init__(
        self, resolution: Resolution, buckets: Buckets, kept_ns: int, *, extended: bool
    ) -> None:
        self._resolution = resolution
        self._buckets = buckets
        self._kept_ns = kept_ns
        self._extended = extended
        self._open: dict[int, _Bucket] = {}
        self._newest: _Bucket | None = None
        self._edges = (0, 0)
        self._first_ns: int | None = None
        self._forgotten_ns = -(2**63)
        self.late = 0

    def add(self, bar: TradeBar) -> list[Resampled]:
        start_ns = to_ns(bar.timestamp)
        earlier = self._first_ns is not None and start_ns < self._first_ns
        if self._first_ns is None or earlier:
            self._first_ns = start_ns
        bucket_ns = self._bucket_ns(start_ns)
        if bucket_ns <= self._forgotten_ns:
            self.late += 1
            return []
        due = self._take(bar, start_ns, bucket_ns)
        if earlier:
            # What was the first bucket may be whole, now that something is known before it.
            due += [one for one in self._open.values() if one.given and one.given.partial]
        made = [self._give(one) for one in sorted(set(due), key=lambda one: one.start_ns)]
        self._forget()
        return [one for one in made if one is not None]

    def close(self, now_ns: int) -> list[Resampled]:
        due = [one for one in self._open.values() if not one.is_closed and one.end_ns <= now_ns]
        for bucket in due:
            bucket.is_closed = True
        return [made for made in map(self._give, due) if made is not None]

    def flush(self) -> list[Resampled]:
        due = [one for one in self._open.values() if not one.is_closed]
        return [made for made in map(self._give, due) if made is not None]

    def _take(self, bar: TradeBar, start_ns: int, bucket_ns: int) -> list[_Bucket]:
        """Put a bar where it belongs; return the buckets to give."""
        bucket = self._open.get(bucket_ns)
        if bucket is None:
            trading = self._buckets.trading(bucket_ns, extended=self._extended)
            end_ns = self._buckets.end(bucket_ns)
            bucket = _Bucket(bucket_ns, trading or (end_ns, end_ns))
        end_ns = start_ns + bar.resolution.seconds * NS_PER_S
        if not self._extended and not self._buckets.is_regular(start_ns, end_ns):
            return []
        self._open[bucket_ns] = bucket
        if bucket.bars.get(start_ns) == bar:
            return []
        bucket.bars[start_ns] = bar
        bucket.until_ns = max(bucket.until_ns, end_ns)
        due = self._advance(bucket)
        bucket.is_closed |= bucket.until_ns >= bucket.end_ns
        return [*due, bucket] if bucket.is_closed else due

    def _advance(self, bucket: _Bucket) -> list[_Bucket]:
        """Make a later bucket the newest one, and close those before it."""
        newest = self._newest
        if newest is not None and bucket.start_ns < newest.start_ns:
            bucket.is_closed = True
            return []
        self._newest = bucket
        due = [one for one in self._open.values() if one is not bucket and not one.is_closed]
        for one in due:
            one.is_closed = True
        return due

    def _give(self, bucket: _Bucket) -> Resampled | None:
        """Return the bucket's bar when it differs from what was given last."""
        bars = [bucket.bars[start_ns] for start_ns in sorted(bucket.bars)]
        bar = resample(from_bars(bars, feed=""), self._resolution).bar(0)
        missing = self._first_ns is not None and self._first_ns > bucket.begin_ns
        partial = missing or not (bucket.is_closed or bucket.until_ns >= bucket.end_ns)
        given = bucket.given
        if given is not None and given.bar == bar and given.partial == partial:
            return None
        bucket.given = Resampled(bar, 0 if given is None else given.revision + 1, partial)
        return bucket.given

    def _bucket_ns(self, start_ns: int) -> int:
        begin_ns, end_ns = self._edges
        if not begin_ns <= start_ns < end_ns:
            begin_ns = self._buckets.start(start_ns)
            self._edges = begin_ns, self._buckets.end(begin_ns)
        return begin_ns

    def _forget(self) -> None:
        if self._newest is None:
            return
        before_ns = self._newest.start_ns - self._kept_ns
        for bucket_ns in [one for one in self._open if one < before_ns]:
            self._forgotten_ns = max(self._forgotten_ns, bucket_ns)
            del self._open[bucket_ns]
