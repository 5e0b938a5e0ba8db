"""Longer bars from live ones, as they come."""

from datetime import datetime, timedelta
from typing import NamedTuple

from lean_lite.blocks import from_bars
from lean_lite.blocks.resample import check_longer, resample
from lean_lite.data.resampling.completeness import complete_since
from lean_lite.data.resampling.fold import LATEST_NS
from lean_lite.data.resampling.timestamp_guard import TimestampGuard
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Length, Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, to_ns

KEPT = timedelta(days=1)
# No market is closed for longer.
FAR_NS = 7 * 86_400 * SECOND_NS


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
    to a day after its end (`kept`). `late` counts the bars that came after that and changed
    nothing. A bar that starts more than 7 days (or `kept`) after all before it waits for the next
    one, `close` or `flush`; when time goes on where it was, its date was wrong, and it is counted
    in `refused`.
    """

    def __init__(
        self,
        resolution: Length,
        *,
        extended: bool = True,
        kept: timedelta = KEPT,
    ) -> None:
        """Take the length to make; without `extended`, only regular trading counts."""
        if kept < timedelta(0):
            message = f"nothing can be kept for {kept}: give 0 or more"
            raise ValueError(message)
        self._resolution = Resolution.of(resolution)
        self._extended = extended
        self._kept_ns = kept // timedelta(microseconds=1) * 1_000
        self._series: dict[str, _SymbolSeries] = {}

    @property
    def late(self) -> int:
        """Return how many bars came too late to be folded."""
        return sum(series.late for series in self._series.values())

    @property
    def refused(self) -> int:
        """Return how many bars were refused because of a date that no other bar confirmed."""
        return sum(series.refused for series in self._series.values())

    def add(self, bar: TradeBar) -> list[Resampled]:
        """
        Take a bar; return what is complete or changed by it, in order of start.

        ValueError when bars of its resolution do not add up, or are not those that came before.
        """
        series = self._series.get(bar.symbol)
        if series is None:
            check_longer(bar.resolution, self._resolution)
            series = _SymbolSeries(bar, self._resolution, self._kept_ns, extended=self._extended)
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

    def __init__(self, start_ns: int, end_ns: int, trading: tuple[int, int] | None) -> None:
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.trading = trading
        self.over_ns = end_ns if trading is None else trading[1]
        self.bars: dict[int, TradeBar] = {}
        self.is_closed = False
        self.given: Resampled | None = None

    @property
    def was_partial(self) -> bool:
        return self.given is not None and self.given.partial

    def is_partial(self, first_ns: int) -> bool:
        """Tell whether trading is missing, of a symbol that is known since an instant."""
        return self.trading is not None and (first_ns > self.trading[0] or not self.is_closed)


class _SymbolSeries:
    """Fold the bars of one symbol; of its buckets only the newest can be open."""

    def __init__(
        self, first: TradeBar, resolution: Resolution, kept_ns: int, *, extended: bool
    ) -> None:
        self._symbol = first.symbol
        self._shorter = first.resolution
        self._resolution = resolution
        self._is_folded = resolution is not first.resolution
        self._buckets = TimeBuckets(asset_class_of(first.symbol), resolution.seconds)
        self._kept_ns = kept_ns
        self._extended = extended
        # What is ahead by less than is kept makes nothing late.
        self._far_ns = max(FAR_NS, kept_ns)
        self._doubt = TimestampGuard(self._far_ns)
        self._edges = (0, 0)
        self.late = 0
        self._begin(to_ns(first.timestamp))

    def _begin(self, first_ns: int) -> None:
        self._first_ns = self._last_ns = first_ns
        self._known: dict[int, _Bucket] = {}
        self._newest: _Bucket | None = None

    @property
    def refused(self) -> int:
        return self._doubt.refused

    def add(self, bar: TradeBar) -> list[Resampled]:
        self._check(bar)
        start_ns = to_ns(bar.timestamp)
        if self._first_ns == self._last_ns and start_ns < self._last_ns - self._far_ns:
            # There was one bar only, and its date is the wrong one.
            self._doubt.refused += 1
            self._begin(start_ns)
        believed = self._doubt.accept((start_ns, bar), self._last_ns)
        return [made for dated in believed for made in self._add(*dated)]

    def _add(self, start_ns: int, bar: TradeBar) -> list[Resampled]:
        begin_ns, end_ns = self._edges_around(start_ns)
        if self._is_forgotten(end_ns):
            self.late += 1
            return []
        is_earlier = start_ns < self._first_ns
        self._first_ns = min(self._first_ns, start_ns)
        self._last_ns = max(self._last_ns, start_ns)
        due = self._take(bar, start_ns, begin_ns, end_ns)
        if is_earlier:
            # What was the first bucket may be whole, now that something is known before it.
            due |= {one for one in self._known.values() if one.is_closed and one.was_partial}
        return self._give(due)

    def close(self, now_ns: int) -> list[Resampled]:
        return self._started(now_ns) + self._give(self._close_until(now_ns))

    def flush(self) -> list[Resampled]:
        given, newest = self._started(LATEST_NS), self._newest
        return given if newest is None or newest.is_closed else given + self._give({newest})

    def _started(self, now_ns: int) -> list[Resampled]:
        """Take what was held back, once time has come to it."""
        return [made for dated in self._doubt.release(now_ns) for made in self._add(*dated)]

    def _check(self, bar: TradeBar) -> None:
        if bar.resolution != self._shorter:
            message = (
                f"{bar.symbol} came in {self._shorter.value} bars, and now in "
                f"{bar.resolution.value} bars: use a resampler for each"
            )
            raise ValueError(message)

    def _take(self, bar: TradeBar, start_ns: int, begin_ns: int, end_ns: int) -> set[_Bucket]:
        """Put a bar where it belongs; return the buckets to give."""
        until_ns = start_ns + max(bar.resolution.seconds * SECOND_NS, 1)
        if not self._extended and not self._buckets.is_regular(start_ns, until_ns):
            return self._close_until(start_ns)
        bucket = self._known.get(begin_ns)
        if bucket is None:
            bucket = self._known[begin_ns] = _Bucket(begin_ns, end_ns, self._trading(begin_ns))
        # A tick takes the place of no other.
        key = start_ns if bar.resolution is not Resolution.TICK else -1 - len(bucket.bars)
        if bucket.bars.get(key) == bar:
            return set()
        bucket.bars[key] = bar
        due = self._turn_to(bucket)
        bucket.is_closed |= max(until_ns, self._last_ns) >= bucket.over_ns
        return due | {bucket} if bucket.is_closed else due

    def _turn_to(self, bucket: _Bucket) -> set[_Bucket]:
        """Make a later bucket the newest; return what was open so far."""
        if self._newest is not None and bucket.start_ns <= self._newest.start_ns:
            return set()
        due = self._close_until(bucket.start_ns)
        self._newest = bucket
        self._known = {n: b for n, b in self._known.items() if not self._is_forgotten(b.end_ns)}
        return due

    def _close_until(self, now_ns: int) -> set[_Bucket]:
        """Close the open bucket when its trading is over by then."""
        newest = self._newest
        if newest is None or newest.is_closed or newest.over_ns > now_ns:
            return set()
        newest.is_closed = True
        return {newest}

    def _give(self, due: set[_Bucket]) -> list[Resampled]:
        """Return the bars of buckets that differ from what was given last."""
        given = []
        for bucket in sorted(due, key=lambda one: one.start_ns):
            bars = list(bucket.bars.values())
            bar = resample(from_bars(bars, feed=""), self._resolution).bar(0)
            since_ns = complete_since(self._symbol, self._shorter, self._first_ns)
            partial = bucket.is_partial(since_ns)
            last = bucket.given
            if last is None or (last.bar, last.partial) != (bar, partial):
                bucket.given = Resampled(bar, 0 if last is None else last.revision + 1, partial)
                given.append(bucket.given)
        return given

    def _trading(self, begin_ns: int) -> tuple[int, int] | None:
        """Return the trading that a bucket should hold; a bar that is not folded holds its own."""
        if not self._is_folded:
            return None
        return self._buckets.trading(begin_ns, extended=self._extended)

    def _is_forgotten(self, end_ns: int) -> bool:
        return end_ns + self._kept_ns <= self._last_ns

    def _edges_around(self, start_ns: int) -> tuple[int, int]:
        """Return the start and the end of the bucket that holds an instant."""
        if not self._is_folded:
            return start_ns, start_ns + self._resolution.seconds * SECOND_NS
        begin_ns, end_ns = self._edges
        if not begin_ns <= start_ns < end_ns:
            begin_ns = self._buckets.start(start_ns)
            self._edges = begin_ns, self._buckets.end(begin_ns)
        return self._edges
