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
    """Return a bar of so many minutes after 9:00."""
    start = from_ns(NINE_NS + minute * MINUTE_NS)
    return TradeBar(symbol, start, 1.0, max(close, 1.0), min(close, 1.0), close, 10.0, **values)


def moment(minute: int) -> datetime:
    return from_ns(NINE_NS + minute * MINUTE_NS)


def told(given: list[Resampled]) -> list[tuple[int, float, int, bool]]:
    """Return the hour after 9:00, the close, the revision, and whether it is partial."""
    return [
        (
            (to_ns(one.bar.timestamp) - NINE_NS) // (60 * MINUTE_NS),
            one.bar.close,
            one.revision,
            one.partial,
        )
        for one in given
    ]


def begun(*bars: TradeBar, **options: Any) -> Resampler:
    """Return a resampler of hours that has had some bars."""
    resampler = Resampler(HOUR, **options)
    for one in bars:
        resampler.add(one)
    return resampler


def test_an_hour_is_given_with_its_last_minute() -> None:
    resampler = begun(*map(bar, range(59)))
    (given,) = resampler.add(bar(59, 2.0, vwap=1.5, trade_count=3))
    assert given == Resampled(
        TradeBar("SPY", moment(0), 1.0, 2.0, 1.0, 2.0, 600.0, resolution=HOUR), 0, partial=False
    )


def test_an_hour_without_its_last_minute_is_given_with_the_next_bar() -> None:
    resampler = begun(bar(0), bar(50, 2.0))
    assert told(resampler.add(bar(60))) == [(0, 2.0, 0, False)]
    # However far that is.
    assert told(resampler.add(bar(6_000))) == [(1, 1.0, 0, False)]


def test_a_silent_symbol_is_closed_by_the_clock() -> None:
    resampler = begun(bar(0), bar(50, 2.0), bar(7, 3.0, "BTC/USD"))
    assert resampler.close(moment(59)) == []
    assert told(resampler.close(moment(60))) == [(0, 2.0, 0, False), (0, 3.0, 0, True)]
    assert resampler.close(moment(90)) == []


def test_what_is_open_is_given_as_partial() -> None:
    resampler = begun(bar(0), bar(50, 2.0))
    assert told(resampler.flush()) == [(0, 2.0, 0, True)]
    assert resampler.flush() == []
    assert resampler.add(bar(51, 3.0)) == []
    assert told(resampler.flush()) == [(0, 3.0, 1, True)]
    # The same numbers, but nothing is missing any more.
    assert told(resampler.close(moment(60))) == [(0, 3.0, 2, False)]
    assert resampler.flush() == []


def test_a_correction_makes_a_revision_and_a_repeat_none() -> None:
    resampler = begun(bar(0), bar(59))
    assert told(resampler.add(bar(59, 2.0))) == [(0, 2.0, 1, False)]
    assert resampler.add(bar(59, 2.0)) == []
    # A late bar counts, too; a change that the hour does not show is none.
    assert [one.bar.volume for one in resampler.add(bar(30))] == [30.0]
    assert resampler.add(bar(30, 1.5)) == []


def test_a_first_hour_is_partial_until_something_is_known_before_it() -> None:
    resampler = begun(bar(30))
    assert told(resampler.add(bar(61))) == [(0, 1.0, 0, True)]
    assert told(resampler.add(bar(-60))) == [(-1, 1.0, 0, False), (0, 1.0, 1, False)]


def test_an_earlier_bar_gives_no_open_hour() -> None:
    resampler = begun(bar(30))
    resampler.flush()
    resampler.add(bar(31, 2.0))
    assert told(resampler.add(bar(-60))) == [(-1, 1.0, 0, False)]


def test_a_late_bar_of_an_hour_that_had_none_makes_that_hour() -> None:
    resampler = begun(bar(0), bar(121))
    assert told(resampler.add(bar(60, 2.0))) == [(1, 2.0, 0, False)]
    assert told(resampler.add(bar(70, 3.0))) == [(1, 3.0, 1, False)]


def test_only_regular_trading_counts_without_extended_hours() -> None:
    resampler = begun(bar(29, 9.0), bar(30, 2.0), extended=False)
    assert told(resampler.add(bar(59))) == [(0, 1.0, 0, False)]
    assert resampler.add(bar(6 * 60)) == []
    # Nothing comes after it in the regular session, but time goes on.
    assert told(resampler.add(bar(7 * 60, 9.0))) == [(6, 1.0, 0, False)]
    assert resampler.flush() == []
    # What comes later still counts, and waits for nothing.
    assert told(resampler.add(bar(6 * 60 + 5, 3.0))) == [(6, 3.0, 1, False)]


def test_a_regular_bar_that_comes_after_the_session_waits_for_nothing() -> None:
    resampler = begun(bar(30), bar(7 * 60), extended=False)
    assert told(resampler.add(bar(6 * 60))) == [(6, 1.0, 0, False)]


def test_a_day_after_its_end_an_hour_is_left_alone() -> None:
    day = 24 * 60
    resampler = begun(bar(0), bar(60 + day - 1))
    assert told(resampler.add(bar(30, 2.0))) != []
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


def test_a_late_bar_says_nothing_of_what_is_known() -> None:
    resampler = begun(bar(30), kept=timedelta(0))
    assert told(resampler.add(bar(120))) == [(0, 1.0, 0, True)]
    assert resampler.add(bar(0)) == []
    assert resampler.late == 1


def test_bars_of_a_time_without_trading_lack_nothing() -> None:
    night = -9 * 60 + 7
    resampler = begun(bar(night))
    assert told(resampler.flush()) == [(-9, 1.0, 0, False)]
    assert resampler.add(bar(night + 1)) == []
    assert told(resampler.add(bar(0))) == [(-9, 1.0, 1, False)]


def test_every_tick_of_one_moment_counts() -> None:
    resampler = Resampler(MINUTE)
    tick = bar(0, resolution=Resolution.TICK)
    for one in (tick, bar(0, 2.0, resolution=Resolution.TICK), tick):
        assert resampler.add(one) == []
    (given,) = resampler.add(bar(1, resolution=Resolution.TICK))
    assert (given.bar.volume, given.bar.high, given.bar.close) == (30.0, 2.0, 1.0)
    (given,) = resampler.add(tick)
    assert (given.bar.volume, given.revision) == (40.0, 1)


def test_ticks_of_the_regular_session_count_without_extended_hours() -> None:
    resampler = Resampler(HOUR, extended=False)
    for minute in (29, 30, 31):
        resampler.add(bar(minute, resolution=Resolution.TICK))
    assert [one.bar.volume for one in resampler.close(moment(60))] == [20.0]


def test_bars_that_are_as_long_already_stay_as_they_are() -> None:
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
    given = [made for day in days for made in weeks.add(day)] + weeks.close(moment(0))
    assert [(made.bar.volume, made.partial) for made in given] == [(3.0, False)]


FAR_MINUTES = st.integers(7 * 24 * 60 + 60, 10**6)


@for_all(st.integers(1, 9), FAR_MINUTES, st.sampled_from(KEPT))
def test_one_wrong_date_changes_nothing(place: int, far: int, kept: timedelta) -> None:
    bars = [bar(minute, float(minute)) for minute in range(30)]
    plain, struck = (Resampler(Resolution("5min"), kept=kept) for _ in range(2))
    expected = [plain.add(one) for one in bars]
    for one in bars[:place]:
        assert struck.add(one) == expected.pop(0)
    assert struck.add(bar(far)) == struck.add(bar(far, 2.0)) == []
    assert [struck.add(one) for one in bars[place:]] == expected
    assert struck.flush() == plain.flush()
    assert (struck.refused, struck.late) == (1, 0)


@for_all(FAR_MINUTES)
def test_a_wrong_date_may_be_the_first(far: int) -> None:
    resampler = begun(bar(far), bar(far, 2.0))
    for minute in range(60):
        given = resampler.add(bar(minute))
    assert [(one.bar.volume, one.partial) for one in given] == [(600.0, False)]
    assert (resampler.refused, resampler.late) == (1, 0)


@for_all(st.lists(FAR_MINUTES, min_size=2, max_size=6))
def test_a_symbol_that_is_silent_for_long_loses_nothing(breaks: list[int]) -> None:
    resampler, minute = Resampler(HOUR), 0
    starts, given = [0], resampler.add(bar(0))
    for length in breaks:
        minute += length
        starts.append(minute)
        given += resampler.add(bar(minute))
    given += resampler.flush()
    bars = fold_bars(Bars.of([bar(minute) for minute in starts]), HOUR)
    assert [one.bar for one in given] == list(bars)
    assert (resampler.refused, resampler.late) == (0, 0)


def test_what_is_far_ahead_is_believed_with_a_bar_near_it() -> None:
    week = 7 * 24 * 60
    for second in (week + 61, week + 59, 2 * week):
        resampler = begun(bar(0))
        assert resampler.add(bar(week + 60, 2.0)) == []
        # A correction of what was before says nothing about it.
        resampler.add(bar(0, 3.0))
        assert told(resampler.add(bar(second)))[0] == (0, 3.0, 0, False)
        assert (resampler.refused, resampler.late) == (0, 0)


def test_of_two_dates_far_ahead_the_nearer_one_waits_on() -> None:
    week = 7 * 24 * 60
    resampler = begun(bar(0), bar(9 * week), bar(2 * week, 2.0))
    assert resampler.refused == 1
    assert told(resampler.add(bar(2 * week + 60))) == [
        (0, 1.0, 0, False),
        (2 * 7 * 24, 2.0, 0, False),
    ]


def test_the_clock_believes_what_has_started() -> None:
    week = 7 * 24 * 60
    resampler = begun(bar(0), bar(week + 2, 2.0))
    assert told(resampler.close(moment(week + 1))) == [(0, 1.0, 0, False)]
    assert told(resampler.close(moment(week + 60))) == [(7 * 24, 2.0, 0, False)]


def test_what_is_kept_for_longer_may_be_far_ahead_as_well() -> None:
    resampler = begun(bar(0), kept=timedelta(days=30))
    assert told(resampler.add(bar(20 * 24 * 60))) == [(0, 1.0, 0, False)]
    assert told(resampler.add(bar(1))) == [(0, 1.0, 1, False)]
    assert (resampler.refused, resampler.late) == (0, 0)


def test_bars_of_two_resolutions_are_refused_and_change_nothing() -> None:
    resampler = begun(bar(0), bar(50))
    with pytest.raises(ValueError, match="SPY came in minute bars, and now in 5min bars: use a"):
        resampler.add(bar(55, 9.0, resolution=Resolution("5min")))
    assert told(resampler.close(moment(60))) == [(0, 1.0, 0, False)]


def test_bars_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="minute bars do not add up to 90s bars"):
        Resampler(timedelta(seconds=90)).add(bar(0))


def test_nothing_can_be_kept_for_less_than_no_time() -> None:
    with pytest.raises(ValueError, match="nothing can be kept for -1 day"):
        Resampler(HOUR, kept=timedelta(days=-1))


@pytest.mark.parametrize("symbol", ["SPY", "BTC/USD"])
def test_real_minutes_make_the_same_numbers_one_by_one_as_at_once(symbol: str) -> None:
    block = block_of_recorded(symbol)
    resampler = Resampler(timedelta(minutes=30))
    given = [made for one in block.bars() for made in resampler.add(one)]
    given += resampler.flush()
    assert [made.bar for made in given] == list(resample(block, Resolution("30min")).bars())
    assert not any(made.revision for made in given)


RESOLUTIONS = ("minute", "5min", "30min", "hour", "4h", "daily", "7d")
FAR_NS = 2**62
symbols = st.sampled_from(SYMBOLS)
# Minutes that fall on the edges of buckets as often as between them.
strides = st.sampled_from([1, 2, 5, 29, 30, 60]) | st.integers(1, 90)
closes = st.sampled_from([1.0, 2.0, 3.0])


class ResamplerMachine(RuleBasedStateMachine):
    """Compare what was given last with the fold of all bars that came in time."""

    @initialize(
        resolution=st.sampled_from(RESOLUTIONS), kept=st.sampled_from(KEPT), extended=st.booleans()
    )
    def begin(self, resolution: str, kept: timedelta, *, extended: bool) -> None:
        self.resolution, self.kept, self.extended = Resolution(resolution), kept, extended
        self.resampler = Resampler(self.resolution, extended=extended, kept=kept)
        self.buckets = {
            symbol: TimeBuckets(asset_class_of(symbol), self.resolution.seconds)
            for symbol in SYMBOLS
        }
        self.bars: dict[str, dict[int, TradeBar]] = {symbol: {} for symbol in SYMBOLS}
        self.given: dict[tuple[str, int], Resampled] = {}
        self.closed: set[tuple[str, int]] = set()
        self.late = 0

    @rule(symbol=symbols, later=strides, close=closes)
    def goes_on(self, symbol: str, later: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) + later, close)

    @rule(symbol=symbols, days=st.integers(1, 7), close=closes)
    def goes_on_days_later(self, symbol: str, days: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) + days * 24 * 60, close)

    @rule(symbol=symbols, earlier=strides | st.just(0), close=closes)
    def comes_late(self, symbol: str, earlier: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) - earlier, close)

    @rule(symbol=symbols, hours=st.integers(0, 7 * 24), close=closes)
    def comes_very_late(self, symbol: str, hours: int, close: float) -> None:
        self.add(symbol, self.newest(symbol) - hours * 60, close)

    @rule(symbol=symbols, which=st.integers(0, 99), close=closes)
    def is_corrected_or_repeated(self, symbol: str, which: int, close: float) -> None:
        if known := sorted(self.bars[symbol]):
            self.add(symbol, (known[which % len(known)] - NINE_NS) // MINUTE_NS, close)

    @rule(later=st.integers(-60, 600))
    def close(self, later: int) -> None:
        now = moment(max(map(self.newest, SYMBOLS)) + later)
        for symbol in SYMBOLS:
            key = self.newest_key(symbol)
            if key is not None and self.over_ns(key) <= to_ns(now):
                self.closed.add(key)
        self.take(self.resampler.close(now))
        self.compare(flushed=False)

    @rule()
    def flush(self) -> None:
        self.take(self.resampler.flush())
        assert self.resampler.flush() == []
        self.compare(flushed=True)

    @invariant()
    def late_ones_are_counted(self) -> None:
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
        given = self.resampler.add(made)
        starts = [one.bar.timestamp for one in given]
        assert starts == sorted(starts)
        self.take(given)

    def take(self, given: list[Resampled]) -> None:
        """Note what is given: a revision has the next number, and something new."""
        for one in given:
            key = (one.bar.symbol, to_ns(one.bar.timestamp))
            last = self.given.get(key)
            assert one.revision == (0 if last is None else last.revision + 1)
            assert last is None or (one.bar, one.partial) != (last.bar, last.partial)
            self.given[key] = one

    def compare(self, *, flushed: bool) -> None:
        """Compare all that must have been given by now."""
        expected = {key: one for symbol in SYMBOLS for key, one in self.folded(symbol)}
        assert self.given.keys() <= expected.keys()
        for key, (folded, partial) in expected.items():
            if flushed or self.is_closed(key):
                assert (self.given[key].bar, self.given[key].partial) == (folded, partial)

    def folded(self, symbol: str) -> Iterator[tuple[tuple[str, int], tuple[TradeBar, bool]]]:
        """Yield the longer bars of all that came in time, and whether they are partial."""
        bars = Bars.of([one for _, one in sorted(self.bars[symbol].items())])
        made = fold_bars(bars, self.resolution, extended=self.extended, end_ns=FAR_NS)
        for one, partial in zip(made, made.partial.tolist(), strict=True):
            key = (symbol, to_ns(one.timestamp))
            trading = self.buckets[symbol].trading(key[1], extended=self.extended)
            is_open = trading is not None and not self.is_closed(key)
            yield key, (one, partial or is_open)

    def is_closed(self, key: tuple[str, int]) -> bool:
        """Tell whether the clock, its last minute or a later bar has closed a bucket."""
        until_ns = max(self.bars[key[0]]) + MINUTE_NS
        return key in self.closed or key != self.newest_key(key[0]) or until_ns >= self.over_ns(key)

    def over_ns(self, key: tuple[str, int]) -> int:
        symbol, start_ns = key
        trading = self.buckets[symbol].trading(start_ns, extended=self.extended)
        return self.buckets[symbol].end(start_ns) if trading is None else trading[1]

    def newest_key(self, symbol: str) -> tuple[str, int] | None:
        """Return the newest bucket that holds a bar that counts."""
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
test_what_is_given_last_is_the_fold_of_all_bars = ResamplerMachine.TestCase


def test_no_more_is_remembered_than_is_kept() -> None:
    resampler = Resampler(Resolution("5min"), kept=timedelta(hours=1))
    for minute in range(3 * 24 * 60):
        resampler.add(bar(minute, symbol="BTC/USD"))
    (series,) = resampler._series.values()
    assert sum(len(bucket.bars) for bucket in series._known.values()) <= 65
