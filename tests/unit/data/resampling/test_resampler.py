from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lean_lite.blocks.resample import resample
from lean_lite.data import Bars
from lean_lite.data.resampling import Resampled, Resampler
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, from_ns, to_ns
from tests.harness.recordings import block_of_recorded

MINUTE_NS = 60 * SECOND_NS
HOUR, MINUTE, DAILY = Resolution.HOUR, Resolution.MINUTE, Resolution.DAILY
KEPT = (timedelta(0), timedelta(hours=1), timedelta(hours=7), timedelta(days=1))
# A Tuesday; 14:00 UTC is 9:00 in New York.
NINE_NS = to_ns(datetime(2026, 11, 24, 14, tzinfo=UTC))
SYMBOLS = ("SPY", "BTC/USD")


def bar(minute: int, close: float = 1.0, symbol: str = "SPY", **values: Any) -> TradeBar:
    """Return a bar that starts `minute` minutes after 9:00."""
    start = from_ns(NINE_NS + minute * MINUTE_NS)
    return TradeBar(symbol, start, 1.0, max(close, 1.0), min(close, 1.0), close, 10.0, **values)


def time_at(minute: int) -> datetime:
    return from_ns(NINE_NS + minute * MINUTE_NS)


def summary(emitted: list[Resampled]) -> list[tuple[int, float, int, bool]]:
    """Return hours after 9:00, close, revision and partial of each bar."""
    return [
        (
            (to_ns(one.bar.timestamp) - NINE_NS) // (60 * MINUTE_NS),
            one.bar.close,
            one.revision,
            one.partial,
        )
        for one in emitted
    ]


def resampler_with(*bars: TradeBar, **options: Any) -> Resampler:
    """Return an hourly resampler to which some bars were added."""
    resampler = Resampler(HOUR, **options)
    for one in bars:
        resampler.add(one)
    return resampler


def test_an_hour_is_emitted_with_its_last_minute() -> None:
    resampler = resampler_with(*map(bar, range(59)))
    (emitted,) = resampler.add(bar(59, 2.0, vwap=1.5, trade_count=3))
    assert emitted == Resampled(
        TradeBar("SPY", time_at(0), 1.0, 2.0, 1.0, 2.0, 600.0, resolution=HOUR), 0, partial=False
    )


def test_an_hour_without_its_last_minute_is_emitted_with_the_next_bar() -> None:
    resampler = resampler_with(bar(0), bar(50, 2.0))
    assert summary(resampler.add(bar(60))) == [(0, 2.0, 0, False)]
    # The next bar may be much later.
    assert summary(resampler.add(bar(6_000))) == [(1, 1.0, 0, False)]


def test_close_emits_the_hour_of_a_silent_symbol() -> None:
    resampler = resampler_with(bar(0), bar(50, 2.0), bar(7, 3.0, "BTC/USD"))
    assert resampler.close(time_at(59)) == []
    assert summary(resampler.close(time_at(60))) == [(0, 2.0, 0, False), (0, 3.0, 0, True)]
    assert resampler.close(time_at(90)) == []


def test_flush_emits_an_open_hour_as_partial() -> None:
    resampler = resampler_with(bar(0), bar(50, 2.0))
    assert summary(resampler.flush()) == [(0, 2.0, 0, True)]
    assert resampler.flush() == []
    assert resampler.add(bar(51, 3.0)) == []
    assert summary(resampler.flush()) == [(0, 3.0, 1, True)]
    # The same numbers, but no longer partial.
    assert summary(resampler.close(time_at(60))) == [(0, 3.0, 2, False)]
    assert resampler.flush() == []


def test_a_correction_emits_a_revision_and_a_repeated_bar_emits_nothing() -> None:
    resampler = resampler_with(bar(0), bar(59))
    assert summary(resampler.add(bar(59, 2.0))) == [(0, 2.0, 1, False)]
    assert resampler.add(bar(59, 2.0)) == []
    # A late bar counts as well; a change that does not affect the hour emits nothing.
    assert [one.bar.volume for one in resampler.add(bar(30))] == [30.0]
    assert resampler.add(bar(30, 1.5)) == []


def test_the_first_hour_is_partial_until_an_earlier_bar_is_added() -> None:
    resampler = resampler_with(bar(30))
    assert summary(resampler.add(bar(61))) == [(0, 1.0, 0, True)]
    assert summary(resampler.add(bar(-60))) == [(-1, 1.0, 0, False), (0, 1.0, 1, False)]


def test_an_earlier_bar_does_not_emit_the_open_hour() -> None:
    resampler = resampler_with(bar(30))
    resampler.flush()
    resampler.add(bar(31, 2.0))
    assert summary(resampler.add(bar(-60))) == [(-1, 1.0, 0, False)]


def test_a_late_bar_can_create_its_hour() -> None:
    resampler = resampler_with(bar(0), bar(121))
    assert summary(resampler.add(bar(60, 2.0))) == [(1, 2.0, 0, False)]
    assert summary(resampler.add(bar(70, 3.0))) == [(1, 3.0, 1, False)]


def test_without_extended_hours_only_the_regular_session_is_folded() -> None:
    resampler = resampler_with(bar(29, 9.0), bar(30, 2.0), extended=False)
    assert summary(resampler.add(bar(59))) == [(0, 1.0, 0, False)]
    assert resampler.add(bar(6 * 60)) == []
    # No bar of the regular session follows, but a later one closes the hour.
    assert summary(resampler.add(bar(7 * 60, 9.0))) == [(6, 1.0, 0, False)]
    assert resampler.flush() == []
    # A late bar is folded and emitted immediately.
    assert summary(resampler.add(bar(6 * 60 + 5, 3.0))) == [(6, 3.0, 1, False)]


def test_a_regular_bar_added_after_the_session_is_emitted_immediately() -> None:
    resampler = resampler_with(bar(30), bar(7 * 60), extended=False)
    assert summary(resampler.add(bar(6 * 60))) == [(6, 1.0, 0, False)]


def test_an_hour_can_not_change_a_day_after_its_end() -> None:
    day = 24 * 60
    resampler = resampler_with(bar(0), bar(60 + day - 1))
    assert summary(resampler.add(bar(30, 2.0))) != []
    assert resampler.late == 0
    resampler.add(bar(60 + day))
    assert resampler.add(bar(30, 3.0)) == []
    assert resampler.add(bar(-600, 3.0)) == []
    assert resampler.late == 2


def test_a_week_can_be_corrected_after_its_end() -> None:
    resampler = Resampler(timedelta(days=7))
    friday, monday = bar(3 * 24 * 60), bar(6 * 24 * 60)
    for one in (bar(0), friday, monday):
        resampler.add(one)
    assert [one.revision for one in resampler.add(bar(3 * 24 * 60, 2.0))] == [1]


def test_a_bar_that_is_too_late_does_not_extend_the_complete_span() -> None:
    resampler = resampler_with(bar(30), kept=timedelta(0))
    assert summary(resampler.add(bar(120))) == [(0, 1.0, 0, True)]
    assert resampler.add(bar(0)) == []
    assert resampler.late == 1


def test_bars_outside_of_trading_are_not_partial() -> None:
    night = -9 * 60 + 7
    resampler = resampler_with(bar(night))
    assert summary(resampler.flush()) == [(-9, 1.0, 0, False)]
    assert resampler.add(bar(night + 1)) == []
    assert summary(resampler.add(bar(0))) == [(-9, 1.0, 1, False)]


def test_ticks_of_the_same_start_all_count() -> None:
    resampler = Resampler(MINUTE)
    tick = bar(0, resolution=Resolution.TICK)
    for one in (tick, bar(0, 2.0, resolution=Resolution.TICK), tick):
        assert resampler.add(one) == []
    (emitted,) = resampler.add(bar(1, resolution=Resolution.TICK))
    assert (emitted.bar.volume, emitted.bar.high, emitted.bar.close) == (30.0, 2.0, 1.0)
    (emitted,) = resampler.add(tick)
    assert (emitted.bar.volume, emitted.revision) == (40.0, 1)


def test_without_extended_hours_ticks_of_the_regular_session_count() -> None:
    resampler = Resampler(HOUR, extended=False)
    for minute in (29, 30, 31):
        resampler.add(bar(minute, resolution=Resolution.TICK))
    assert [one.bar.volume for one in resampler.close(time_at(60))] == [20.0]


def test_bars_of_the_same_resolution_are_not_changed() -> None:
    chicago = datetime(2024, 1, 1, tzinfo=ZoneInfo("America/Chicago"))
    days = [
        TradeBar("BTC/USD", chicago + timedelta(days=day), 1, 2, 1, 2, 1, resolution=DAILY)
        for day in range(3)
    ]
    resampler = Resampler(DAILY)
    assert [resampler.add(day) for day in days] == [
        [Resampled(day, 0, partial=False)] for day in days
    ]
    weeks = Resampler(timedelta(days=7))
    emitted = [made for day in days for made in weeks.add(day)] + weeks.close(time_at(0))
    assert [(made.bar.volume, made.partial) for made in emitted] == [(3.0, False)]


JUMP_MINUTES = st.integers(7 * 24 * 60 + 60, 10**6)


@for_all(st.integers(1, 9), JUMP_MINUTES, st.sampled_from(KEPT))
def test_a_bar_with_a_wrong_date_does_not_affect_other_bars(
    at: int, jump: int, kept: timedelta
) -> None:
    bars = [bar(minute, float(minute)) for minute in range(30)]
    plain, disturbed = (Resampler(Resolution("5min"), kept=kept) for _ in range(2))
    expected = [plain.add(one) for one in bars]
    for one in bars[:at]:
        assert disturbed.add(one) == expected.pop(0)
    assert disturbed.add(bar(jump)) == disturbed.add(bar(jump, 2.0)) == []
    assert [disturbed.add(one) for one in bars[at:]] == expected
    assert disturbed.flush() == plain.flush()
    assert (disturbed.refused, disturbed.late) == (1, 0)


@for_all(JUMP_MINUTES)
def test_a_first_bar_with_a_wrong_date_does_not_affect_other_bars(jump: int) -> None:
    resampler = resampler_with(bar(jump), bar(jump, 2.0))
    for minute in range(60):
        emitted = resampler.add(bar(minute))
    assert [(one.bar.volume, one.partial) for one in emitted] == [(600.0, False)]
    assert (resampler.refused, resampler.late) == (1, 0)


@for_all(st.lists(JUMP_MINUTES, min_size=2, max_size=6))
def test_a_symbol_with_long_pauses_loses_no_bar(pauses: list[int]) -> None:
    resampler, minute = Resampler(HOUR), 0
    starts, emitted = [0], resampler.add(bar(0))
    for length in pauses:
        minute += length
        starts.append(minute)
        emitted += resampler.add(bar(minute))
    emitted += resampler.flush()
    bars = fold_bars(Bars.of([bar(minute) for minute in starts]), HOUR)
    assert [one.bar for one in emitted] == list(bars)
    assert (resampler.refused, resampler.late) == (0, 0)


def test_a_bar_far_ahead_is_confirmed_by_a_bar_near_or_after_it() -> None:
    week = 7 * 24 * 60
    for second in (week + 61, week + 59, 2 * week):
        resampler = resampler_with(bar(0))
        assert resampler.add(bar(week + 60, 2.0)) == []
        # A correction of an earlier bar neither confirms nor rejects it.
        resampler.add(bar(0, 3.0))
        assert summary(resampler.add(bar(second)))[0] == (0, 3.0, 0, False)
        assert (resampler.refused, resampler.late) == (0, 0)


def test_of_two_bars_far_ahead_the_nearer_one_is_held_back() -> None:
    week = 7 * 24 * 60
    resampler = resampler_with(bar(0), bar(9 * week), bar(2 * week, 2.0))
    assert resampler.refused == 1
    assert summary(resampler.add(bar(2 * week + 60))) == [
        (0, 1.0, 0, False),
        (2 * 7 * 24, 2.0, 0, False),
    ]


def test_close_confirms_a_held_bar_that_has_started() -> None:
    week = 7 * 24 * 60
    resampler = resampler_with(bar(0), bar(week + 2, 2.0))
    assert summary(resampler.close(time_at(week + 1))) == [(0, 1.0, 0, False)]
    assert summary(resampler.close(time_at(week + 60))) == [(7 * 24, 2.0, 0, False)]


def test_a_jump_within_kept_needs_no_confirmation() -> None:
    resampler = resampler_with(bar(0), kept=timedelta(days=30))
    assert summary(resampler.add(bar(20 * 24 * 60))) == [(0, 1.0, 0, False)]
    assert summary(resampler.add(bar(1))) == [(0, 1.0, 1, False)]
    assert (resampler.refused, resampler.late) == (0, 0)


def test_bars_of_two_resolutions_are_refused_and_change_nothing() -> None:
    resampler = resampler_with(bar(0), bar(50))
    with pytest.raises(ValueError, match="SPY has minute bars here, not 5min bars: use one"):
        resampler.add(bar(55, 9.0, resolution=Resolution("5min")))
    assert summary(resampler.close(time_at(60))) == [(0, 1.0, 0, False)]


def test_bars_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="minute bars do not add up to 90s bars"):
        Resampler(timedelta(seconds=90)).add(bar(0))


def test_a_negative_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="kept must be a timedelta of 0 or more, not -1 day"):
        Resampler(HOUR, kept=timedelta(days=-1))


@pytest.mark.parametrize("symbol", ["SPY", "BTC/USD"])
def test_recorded_minutes_resample_bar_by_bar_as_in_one_block(symbol: str) -> None:
    block = block_of_recorded(symbol)
    resampler = Resampler(timedelta(minutes=30))
    emitted = [made for one in block.bars() for made in resampler.add(one)]
    emitted += resampler.flush()
    assert [made.bar for made in emitted] == list(resample(block, Resolution("30min")).bars())
    assert not any(made.revision for made in emitted)


RESOLUTIONS = ("minute", "5min", "30min", "hour", "4h", "daily", "7d")
FAR_NS = 2**62
symbols = st.sampled_from(SYMBOLS)
# Minutes on the edges of buckets are drawn as often as minutes between them.
strides = st.sampled_from([1, 2, 5, 29, 30, 60]) | st.integers(1, 90)
closes = st.sampled_from([1.0, 2.0, 3.0])


class ResamplerMachine(RuleBasedStateMachine):
    """Compare what was emitted last with the fold of all bars that were not late."""

    @initialize(
        resolution=st.sampled_from(RESOLUTIONS), kept=st.sampled_from(KEPT), extended=st.booleans()
    )
    def start(self, resolution: str, kept: timedelta, *, extended: bool) -> None:
        self.resolution, self.kept, self.extended = Resolution(resolution), kept, extended
        self.resampler = Resampler(self.resolution, extended=extended, kept=kept)
        self.buckets = {
            symbol: TimeBuckets(asset_class_of(symbol), self.resolution.seconds)
            for symbol in SYMBOLS
        }
        self.bars: dict[str, dict[int, TradeBar]] = {symbol: {} for symbol in SYMBOLS}
        self.emitted: dict[tuple[str, int], Resampled] = {}
        self.closed: set[tuple[str, int]] = set()
        self.late = 0

    @rule(symbol=symbols, later=strides, close=closes)
    def add_a_later_bar(self, symbol: str, later: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) + later, close)

    @rule(symbol=symbols, days=st.integers(1, 7), close=closes)
    def add_a_bar_days_later(self, symbol: str, days: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) + days * 24 * 60, close)

    @rule(symbol=symbols, earlier=strides | st.just(0), close=closes)
    def add_a_late_bar(self, symbol: str, earlier: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) - earlier, close)

    @rule(symbol=symbols, hours=st.integers(0, 7 * 24), close=closes)
    def add_a_very_late_bar(self, symbol: str, hours: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) - hours * 60, close)

    @rule(symbol=symbols, which=st.integers(0, 99), close=closes)
    def correct_or_repeat_a_bar(self, symbol: str, which: int, close: float) -> None:
        if starts := sorted(self.bars[symbol]):
            self.add(symbol, (starts[which % len(starts)] - NINE_NS) // MINUTE_NS, close)

    @rule(later=st.integers(-60, 600))
    def close(self, later: int) -> None:
        now = time_at(max(map(self.newest, SYMBOLS)) + later)
        for symbol in SYMBOLS:
            key = self.newest_key(symbol)
            if key is not None and self.trading_end_ns(key) <= to_ns(now):
                self.closed.add(key)
        self.record(self.resampler.close(now))
        self.compare(flushed=False)

    @rule()
    def flush(self) -> None:
        self.record(self.resampler.flush())
        assert self.resampler.flush() == []
        self.compare(flushed=True)

    @invariant()
    def late_bars_are_counted(self) -> None:
        if hasattr(self, "resampler"):
            assert self.resampler.late == self.late

    def teardown(self) -> None:
        if hasattr(self, "resampler"):
            self.flush()

    def add(self, symbol: str, minute: int, close: float) -> None:
        made = bar(minute, close, symbol)
        start_ns = to_ns(made.timestamp)
        end_ns = self.buckets[symbol].end(self.buckets[symbol].start(start_ns))
        kept_ns = int(self.kept.total_seconds()) * SECOND_NS
        if end_ns + kept_ns <= max(self.bars[symbol], default=start_ns):
            self.late += 1
        else:
            self.bars[symbol][start_ns] = made
        emitted = self.resampler.add(made)
        starts = [one.bar.timestamp for one in emitted]
        assert starts == sorted(starts)
        self.record(emitted)

    def record(self, emitted: list[Resampled]) -> None:
        """Record emitted bars; each has the next revision number and differs from the last one."""
        for one in emitted:
            key = (one.bar.symbol, to_ns(one.bar.timestamp))
            last = self.emitted.get(key)
            assert one.revision == (0 if last is None else last.revision + 1)
            assert last is None or (one.bar, one.partial) != (last.bar, last.partial)
            self.emitted[key] = one

    def compare(self, *, flushed: bool) -> None:
        """Compare all bars that must have been emitted by now."""
        expected = {key: one for symbol in SYMBOLS for key, one in self.folded(symbol)}
        assert self.emitted.keys() <= expected.keys()
        for key, (folded, partial) in expected.items():
            if flushed or self.is_closed(key):
                assert (self.emitted[key].bar, self.emitted[key].partial) == (folded, partial)

    def folded(self, symbol: str) -> Iterator[tuple[tuple[str, int], tuple[TradeBar, bool]]]:
        """Yield the longer bars of all bars that were not late, and whether they are partial."""
        bars = Bars.of([one for _, one in sorted(self.bars[symbol].items())])
        made = fold_bars(bars, self.resolution, extended=self.extended, end_ns=FAR_NS)
        for one, partial in zip(made, made.partial.tolist(), strict=True):
            key = (symbol, to_ns(one.timestamp))
            trading = self.buckets[symbol].trading(key[1], extended=self.extended)
            is_open = trading is not None and not self.is_closed(key)
            yield key, (one, partial or is_open)

    def is_closed(self, key: tuple[str, int]) -> bool:
        """Return whether `close`, its last minute or a later bar has closed a bucket."""
        until_ns = max(self.bars[key[0]]) + MINUTE_NS
        return (
            key in self.closed
            or key != self.newest_key(key[0])
            or until_ns >= self.trading_end_ns(key)
        )

    def trading_end_ns(self, key: tuple[str, int]) -> int:
        symbol, start_ns = key
        trading = self.buckets[symbol].trading(start_ns, extended=self.extended)
        return self.buckets[symbol].end(start_ns) if trading is None else trading[1]

    def newest_key(self, symbol: str) -> tuple[str, int] | None:
        """Return the newest bucket with a bar that is folded."""
        buckets = self.buckets[symbol]
        counted = [
            start_ns
            for start_ns in self.bars[symbol]
            if self.extended or buckets.is_regular(start_ns, start_ns + MINUTE_NS)
        ]
        return (symbol, buckets.start(max(counted))) if counted else None

    def newest(self, symbol: str) -> int:
        """Return the minute of the newest bar."""
        return (max(self.bars[symbol], default=NINE_NS) - NINE_NS) // MINUTE_NS


ResamplerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
test_the_last_emitted_bars_are_the_fold_of_all_bars = ResamplerMachine.TestCase


def test_expired_buckets_are_not_stored() -> None:
    resampler = Resampler(Resolution("5min"), kept=timedelta(hours=1))
    for minute in range(3 * 24 * 60):
        resampler.add(bar(minute, symbol="BTC/USD"))
    (series,) = resampler._series.values()
    assert sum(len(bucket.bars) for bucket in series._buckets.values()) <= 65
