"""Resampler: consolidate live bars into longer ones, with revisions."""

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
from lean_lite.model.timestamps import DAY_NS, SECOND_NS, to_ns

KEPT = timedelta(days=1)
# No market is closed for longer: a larger jump is rather a wrong date than a pause.
MAX_JUMP_NS = 7 * DAY_NS


class Resampled(NamedTuple):
    """
    One emitted longer bar.

    Args:
        bar: the longer bar; it replaces an earlier one of the same symbol and start.
        revision: 0 for the first emission of this bar, then 1, 2, …
        partial: whether trading time before the first or after the last bar is missing.
    """

    bar: TradeBar
    revision: int
    partial: bool


class Resampler:
    """
    Consolidates bars into longer ones bar by bar, like LEAN's consolidators.

    The numbers are those of `DataTransformer.resample_bars`. A longer bar is emitted when its last
    shorter bar is added, when a later one is added, or when `close` passes its end; and again with
    the next revision when a correction or a late bar changes it. A bar that starts more than 7
    days (or `kept`) after all before it is held back until the next bar, `close` or `flush`
    confirms it; if the next bar continues where the others were, it is dropped. Not thread-safe.

    Args:
        resolution: resolution of the longer bars, also as text or timedelta.
        extended: False folds only bars of the regular session.
        kept: how long after its end a longer bar can still change.

    Raises:
        ValueError: `kept` is negative, or the resolution is invalid.
    """

    def __init__(
        self,
        resolution: Length,
        *,
        extended: bool = True,
        kept: timedelta = KEPT,
    ) -> None:
        if kept < timedelta(0):
            message = f"kept must be a timedelta of 0 or more, not {kept}"
            raise ValueError(message)
        self._resolution = Resolution.of(resolution)
        self._extended = extended
        self._kept_ns = kept // timedelta(microseconds=1) * 1_000
        self._series: dict[str, _SymbolSeries] = {}

    @property
    def late(self) -> int:
        """Number of bars that were added too late to change a longer bar."""
        return sum(series.late for series in self._series.values())

    @property
    def refused(self) -> int:
        """Number of bars that were dropped because no other bar confirmed their date."""
        return sum(series.refused for series in self._series.values())

    def add(self, bar: TradeBar) -> list[Resampled]:
        """
        Add a bar of any symbol.

        Args:
            bar: the bar, of the same resolution as all others of its symbol.

        Returns:
            The longer bars that it completes or changes, in order of start.

        Raises:
            ValueError: bars of its resolution do not add up to the longer one, or earlier bars of
                the symbol had another resolution.
        """
        series = self._series.get(bar.symbol)
        if series is None:
            check_longer(bar.resolution, self._resolution)
            series = _SymbolSeries(bar, self._resolution, self._kept_ns, extended=self._extended)
            self._series[bar.symbol] = series
        return series.add(bar)

    def close(self, now: datetime) -> list[Resampled]:
        """
        Close the longer bars whose trading has ended, for symbols without new bars.

        Args:
            now: current time of the feed; a naive one is local time.

        Returns:
            The longer bars that are complete now.
        """
        now_ns = to_ns(now)
        return [made for series in self._series.values() for made in series.close(now_ns)]

    def flush(self) -> list[Resampled]:
        """
        Emit the longer bars that are still open.

        Returns:
            The open bars, partial if trading is left in them; they can still change.
        """
        return [made for series in self._series.values() for made in series.flush()]


class _Bucket:
    """Bars of one longer bar, and what was emitted last of it."""

    def __init__(self, start_ns: int, end_ns: int, trading: tuple[int, int] | None) -> None:
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.trading = trading
        self.trading_end_ns = end_ns if trading is None else trading[1]
        self.bars: dict[int, TradeBar] = {}
        self.is_closed = False
        self.emitted: Resampled | None = None

    @property
    def was_partial(self) -> bool:
        return self.emitted is not None and self.emitted.partial

    def is_partial(self, complete_since_ns: int) -> bool:
        """Whether trading time is missing, if the symbol is complete since this time."""
        if self.trading is None:
            return False
        return complete_since_ns > self.trading[0] or not self.is_closed


class _SymbolSeries:
    """Longer bars of one symbol; only its newest bucket can be open."""

    def __init__(
        self, first: TradeBar, resolution: Resolution, kept_ns: int, *, extended: bool
    ) -> None:
        self._symbol = first.symbol
        self._shorter = first.resolution
        self._resolution = resolution
        self._is_folded = resolution is not first.resolution
        self._time_buckets = TimeBuckets(asset_class_of(first.symbol), resolution.seconds)
        self._kept_ns = kept_ns
        self._extended = extended
        # A jump within `kept` makes no bar late, so it needs no confirmation.
        self._max_jump_ns = max(MAX_JUMP_NS, kept_ns)
        self._guard = TimestampGuard(self._max_jump_ns)
        self._bounds = (0, 0)
        self.late = 0
        self._reset(to_ns(first.timestamp))

    def _reset(self, first_ns: int) -> None:
        self._first_ns = self._last_ns = first_ns
        self._buckets: dict[int, _Bucket] = {}
        self._newest: _Bucket | None = None

    @property
    def refused(self) -> int:
        return self._guard.rejected

    def add(self, bar: TradeBar) -> list[Resampled]:
        self._check(bar)
        start_ns = to_ns(bar.timestamp)
        if self._first_ns == self._last_ns and start_ns < self._last_ns - self._max_jump_ns:
            # All bars so far had one start, and that was the wrong date.
            self._guard.rejected += 1
            self._reset(start_ns)
        accepted = self._guard.accept((start_ns, bar), self._last_ns)
        return [made for stamped in accepted for made in self._add(*stamped)]

    def _add(self, start_ns: int, bar: TradeBar) -> list[Resampled]:
        bucket_start_ns, bucket_end_ns = self._bounds_of(start_ns)
        if self._is_expired(bucket_end_ns):
            self.late += 1
            return []
        is_earlier = start_ns < self._first_ns
        self._first_ns = min(self._first_ns, start_ns)
        self._last_ns = max(self._last_ns, start_ns)
        due = self._fold(bar, start_ns, bucket_start_ns, bucket_end_ns)
        if is_earlier:
            # The first bucket may no longer be partial, as the symbol is complete since earlier.
            due |= {one for one in self._buckets.values() if one.is_closed and one.was_partial}
        return self._emit(due)

    def close(self, now_ns: int) -> list[Resampled]:
        return self._release(now_ns) + self._emit(self._close_until(now_ns))

    def flush(self) -> list[Resampled]:
        made, newest = self._release(LATEST_NS), self._newest
        return made if newest is None or newest.is_closed else made + self._emit({newest})

    def _release(self, now_ns: int) -> list[Resampled]:
        """Add the bar that was held back, if it has started by now."""
        return [made for stamped in self._guard.release(now_ns) for made in self._add(*stamped)]

    def _check(self, bar: TradeBar) -> None:
        if bar.resolution != self._shorter:
            message = (
                f"{bar.symbol} has {self._shorter.value} bars here, not {bar.resolution.value} "
                "bars: use one Resampler for each resolution"
            )
            raise ValueError(message)

    def _fold(
        self, bar: TradeBar, start_ns: int, bucket_start_ns: int, bucket_end_ns: int
    ) -> set[_Bucket]:
        """Add a bar to its bucket; return the buckets to emit."""
        end_ns = start_ns + max(bar.resolution.seconds * SECOND_NS, 1)
        if not self._extended and not self._time_buckets.is_regular(start_ns, end_ns):
            return self._close_until(start_ns)
        bucket = self._buckets.get(bucket_start_ns)
        if bucket is None:
            trading = self._trading(bucket_start_ns)
            bucket = self._buckets[bucket_start_ns] = _Bucket(
                bucket_start_ns, bucket_end_ns, trading
            )
        # A tick never replaces another one of the same start.
        key = start_ns if bar.resolution is not Resolution.TICK else -1 - len(bucket.bars)
        if bucket.bars.get(key) == bar:
            return set()
        bucket.bars[key] = bar
        due = self._advance_to(bucket)
        bucket.is_closed |= max(end_ns, self._last_ns) >= bucket.trading_end_ns
        return due | {bucket} if bucket.is_closed else due

    def _advance_to(self, bucket: _Bucket) -> set[_Bucket]:
        """Make a later bucket the newest; return the one that this closes."""
        if self._newest is not None and bucket.start_ns <= self._newest.start_ns:
            return set()
        due = self._close_until(bucket.start_ns)
        self._newest = bucket
        self._buckets = {n: b for n, b in self._buckets.items() if not self._is_expired(b.end_ns)}
        return due

    def _close_until(self, now_ns: int) -> set[_Bucket]:
        """Close the open bucket if its trading has ended by then."""
        newest = self._newest
        if newest is None or newest.is_closed or newest.trading_end_ns > now_ns:
            return set()
        newest.is_closed = True
        return {newest}

    def _emit(self, due: set[_Bucket]) -> list[Resampled]:
        """Return the bars of the buckets that differ from what was emitted last."""
        emitted = []
        for bucket in sorted(due, key=lambda one: one.start_ns):
            bars = list(bucket.bars.values())
            bar = resample(from_bars(bars, feed=""), self._resolution).bar(0)
            since_ns = complete_since(self._symbol, self._shorter, self._first_ns)
            partial = bucket.is_partial(since_ns)
            last = bucket.emitted
            if last is None or (last.bar, last.partial) != (bar, partial):
                bucket.emitted = Resampled(bar, 0 if last is None else last.revision + 1, partial)
                emitted.append(bucket.emitted)
        return emitted

    def _trading(self, bucket_start_ns: int) -> tuple[int, int] | None:
        """Return the trading time that a bucket should hold; None for a bar that is not folded."""
        if not self._is_folded:
            return None
        return self._time_buckets.trading(bucket_start_ns, extended=self._extended)

    def _is_expired(self, bucket_end_ns: int) -> bool:
        return bucket_end_ns + self._kept_ns <= self._last_ns

    def _bounds_of(self, start_ns: int) -> tuple[int, int]:
        """Return start and end of the bucket that contains a time."""
        if not self._is_folded:
            return start_ns, start_ns + self._resolution.seconds * SECOND_NS
        bucket_start_ns, bucket_end_ns = self._bounds
        if not bucket_start_ns <= start_ns < bucket_end_ns:
            bucket_start_ns = self._time_buckets.start(start_ns)
            self._bounds = bucket_start_ns, self._time_buckets.end(bucket_start_ns)
        return self._bounds
