import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import concat, empty_block
from lean_lite.data import Bars
from lean_lite.data.resampling.completeness import complete_until, expected_bars
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import from_ns, to_ns
from lean_lite.protocol.history import Gap
from tests.harness.bars import MINUTE_NS, Row, block_of

HOUR, MINUTE = Resolution.HOUR, Resolution.MINUTE
# A Tuesday; 14:00 UTC is 9:00 in New York.
NINE_NS = to_ns(datetime(2026, 11, 24, 14, tzinfo=UTC))
DAY = 24 * 60


def bars_at(*minutes: int, symbol: str = "SPY") -> Bars:
    """Return bars that start the given numbers of minutes after 9:00."""
    rows = [Row(symbol, NINE_NS + minute * MINUTE_NS) for minute in minutes]
    return Bars(block_of(rows))


def partial(bars: Bars) -> list[bool]:
    flags: list[bool] = bars.partial.tolist()
    return flags


def at(minute: int) -> int:
    return NINE_NS + minute * MINUTE_NS


@pytest.mark.parametrize(
    ("minutes", "is_partial"),
    [
        ((0, 59), [False]),
        ((1, 59), [True]),
        ((0, 58), [True]),
        ((1, 60, 119), [True, False]),
        # Minutes without a trade between the first bar and the last do not matter.
        ((0, 90, 150), [False, False, True]),
        ((1, 90, 179), [True, False, False]),
    ],
)
def test_only_the_first_and_the_last_bar_can_be_partial(
    minutes: tuple[int, ...], is_partial: list[bool]
) -> None:
    assert partial(fold_bars(bars_at(*minutes), HOUR)) == is_partial


def test_time_without_trading_makes_no_bar_partial() -> None:
    # Pre-market starts at 4:00, and after-hours end at 20:00; the regular session is 9:30 to 16:00.
    complete = bars_at(-5 * 60, 11 * 60 - 1)
    assert partial(fold_bars(complete, Resolution.DAILY)) == [False]
    assert partial(fold_bars(complete[1:], Resolution.DAILY)) == [True]
    assert partial(fold_bars(complete[:1], Resolution.DAILY)) == [True]
    regular = bars_at(30, 7 * 60 - 1)
    assert partial(fold_bars(regular, Resolution.DAILY)) == [True]
    assert partial(fold_bars(regular, Resolution.DAILY, extended=False)) == [False]


def test_bars_outside_of_trading_are_not_partial() -> None:
    # At night, and on Thanksgiving.
    assert partial(fold_bars(bars_at(-9 * 60 + 7), HOUR)) == [False]
    assert partial(fold_bars(bars_at(2 * DAY + 100), Resolution.DAILY)) == [False]


def test_a_given_complete_span_replaces_that_of_the_bars() -> None:
    bars = bars_at(7, 100)
    assert partial(fold_bars(bars, HOUR)) == [True, True]
    assert partial(fold_bars(bars, HOUR, start_ns=at(0))) == [False, True]
    assert partial(fold_bars(bars, HOUR, end_ns=at(120))) == [True, False]
    assert partial(fold_bars(bars, HOUR, start_ns=at(0), end_ns=at(119))) == [False, True]


def test_each_symbol_is_complete_from_its_own_first_bar_to_its_last() -> None:
    block = concat(
        [bars_at(0, 60, 119, symbol="SPY").block, bars_at(7, 60, 100, symbol="BTC/USD").block]
    )
    assert partial(fold_bars(Bars(block), HOUR)) == [False, False, True, True]


def test_invalid_bars_extend_the_complete_span() -> None:
    block = bars_at(0, 30, 59).block.with_columns(level=np.array([0, 4, 0], "|u1"))
    made = fold_bars(Bars(block), HOUR)
    assert (len(made), partial(made)) == (1, [False])


def test_bars_folded_from_partial_ones_are_partial() -> None:
    day_of_hours = fold_bars(bars_at(-5 * 60 + 1, *range(-4 * 60, 11 * 60, 60), 11 * 60 - 1), HOUR)
    assert partial(day_of_hours) == [True] + [False] * 15
    assert partial(fold_bars(day_of_hours, Resolution.DAILY)) == [True]
    assert partial(fold_bars(day_of_hours[:1], Resolution.DAILY)) == [True]
    assert partial(fold_bars(day_of_hours[1:], Resolution.DAILY, start_ns=at(-9 * 60))) == [False]


def days_of(symbol: str, zone: str, first: datetime, *days: int) -> Bars:
    """Return daily bars that start at midnight of a time zone."""
    starts = [first.replace(tzinfo=ZoneInfo(zone)) + timedelta(days=day) for day in days]
    return Bars.of(
        [TradeBar(symbol, at, 1, 2, 1, 2, 1, resolution=Resolution.DAILY) for at in starts]
    )


# Mondays, one of them the day after a clock change.
@pytest.mark.parametrize("monday", [datetime(2024, 1, 1), datetime(2024, 3, 11)])  # noqa: DTZ001
def test_a_week_of_daily_bars_is_complete_in_any_time_zone(monday: datetime) -> None:
    crypto = days_of("BTC/USD", "America/Chicago", monday, *range(14))
    weeks = fold_bars(crypto, Resolution("7d"))
    assert (weeks.block["volume"].tolist(), partial(weeks)) == ([7, 7], [False, False])
    assert partial(fold_bars(crypto[1:-1], Resolution("7d"))) == [True, True]
    equity = days_of("SPY", "America/New_York", monday, *range(5), *range(7, 12))
    assert partial(fold_bars(equity, Resolution("7d"))) == [False, False]
    assert partial(fold_bars(equity[1:-1], Resolution("7d")))[1]


def test_bars_of_the_same_resolution_are_not_changed() -> None:
    days = days_of("BTC/USD", "America/Chicago", datetime(2024, 1, 1), *range(3))  # noqa: DTZ001
    same = fold_bars(days, Resolution.DAILY)
    assert list(same) == list(days)
    assert partial(same) == [False] * 3
    gaps = (Gap("SPY", 1, 2, "not served"),)
    some_partial = Bars(bars_at(1, 0, 2).block, gaps, 390, np.array([True, False, False]))
    same = fold_bars(some_partial, MINUTE)
    assert same.block["start_ns"].tolist() == [at(0), at(1), at(2)]
    assert (partial(same), same.gaps, same.expected) == ([False, True, False], gaps, 390)
    assert list(same.block.columns) == list(some_partial.block.columns)


def test_the_expected_count_of_longer_bars_follows_from_that_of_shorter_ones() -> None:
    session = Bars(bars_at(*range(30, 420)).block, expected=390)
    for length, expected in (("30min", 13), ("hour", 7), ("4h", 2), ("daily", 1), ("7min", 57)):
        made = fold_bars(session, Resolution(length))
        assert (made.expected, made.completeness) == (expected, 1.0)
    with_gap = Bars(bars_at(30, 31, *range(330, 420)).block, expected=390)
    assert fold_bars(with_gap, HOUR).completeness == pytest.approx(3 / 7)
    # The newest minutes are not over yet, but belong to an hour that has bars.
    assert fold_bars(Bars(bars_at(*range(30, 400)).block, expected=375), HOUR).expected == 7


@pytest.mark.parametrize(
    ("minutes", "expected"), [(range(30, 420), 0), (range(150, 420), 390), (range(30, 150), 390)]
)
def test_no_bars_are_expected_if_the_requested_span_is_unknown(
    minutes: range, expected: int
) -> None:
    made = fold_bars(Bars(bars_at(*minutes).block, expected=expected), HOUR)
    assert math.isnan(made.completeness)


def test_no_bars_are_expected_for_several_symbols() -> None:
    block = concat([bars_at(30).block, bars_at(30, symbol="AAPL").block])
    assert fold_bars(Bars(block, expected=2), HOUR).expected == 0


@given(st.integers(0, 3 * DAY), st.integers(1, 3 * DAY), st.sampled_from(["hour", "4h", "daily"]))
def test_the_expected_count_of_longer_bars_equals_that_of_history(
    first: int, count: int, length: str
) -> None:
    span = at(first), at(first + count)
    bars = Bars(bars_at(*range(first, first + count)).block)
    expected = expected_bars("SPY", MINUTE, *span)
    made = fold_bars(Bars(bars.block, expected=expected), Resolution(length))
    start = TimeBuckets("equity", made.resolution.seconds).start(span[0])
    assert made.expected == (
        expected_bars("SPY", made.resolution, start, span[1]) if expected else 0
    )


def test_gaps_are_carried_over() -> None:
    gaps = (Gap("SPY", 1, 2, "not served"),)
    assert fold_bars(Bars(bars_at(0).block, gaps), HOUR).gaps == gaps


def test_empty_bars_are_folded_into_empty_bars() -> None:
    made = fold_bars(Bars(empty_block("iex")), HOUR, start_ns=at(0), end_ns=at(60))
    assert (len(made), partial(made), made.resolution) == (0, [], HOUR)


def test_bars_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="minute bars do not add up to 90s bars"):
        fold_bars(bars_at(0), Resolution("90s"))


@pytest.mark.parametrize(
    ("symbol", "resolution", "expected"),
    [
        ("SPY", "minute", 390),
        ("SPY", "hour", 7),
        ("SPY", "4h", 2),
        ("SPY", "7min", 57),
        ("SPY", "daily", 1),
        ("SPY", "7d", 0),
        ("BTC/USD", "minute", DAY),
        ("BTC/USD", "5h", 5),
        ("EUR/USD", "daily", 1),
    ],
)
def test_expected_bars_of_one_day(symbol: str, resolution: str, expected: int) -> None:
    """The day is a Tuesday in New York, from 9 hours before 9:00 to 15 hours after it."""
    span = (at(-9 * 60), at(15 * 60))
    if symbol == "BTC/USD":
        span = (at(-14 * 60), at(10 * 60))
    assert expected_bars(symbol, Resolution(resolution), *span) == expected


def hour_is_partial(stored: Bars, now: int, *, end: int = 9 * 60) -> bool:
    """Return whether the hour from 9:00 is partial if it is requested at minute `now`."""
    end_ns = complete_until(stored.block, at(end), at(now))
    return partial(fold_bars(stored, HOUR, start_ns=at(0), end_ns=end_ns))[0]


def test_an_hour_without_its_last_minute_is_partial_until_that_minute_is_final() -> None:
    assert hour_is_partial(bars_at(0, 58), 60)
    assert hour_is_partial(bars_at(0, 58), 61)
    assert not hour_is_partial(bars_at(0, 58), 62)


def test_an_hour_with_its_last_minute_is_complete() -> None:
    assert not hour_is_partial(bars_at(0, 59), 60)


def test_a_past_span_is_complete_to_its_end() -> None:
    assert not hour_is_partial(bars_at(0, 9), 3 * 60, end=60)


def test_a_recording_is_complete_up_to_its_last_bar() -> None:
    for last, is_partial in ((58, True), (59, False)):
        recorded = Bars(block_of([Row("SPY", at(0)), Row("SPY", at(last))], simulated=True))
        assert hour_is_partial(recorded, 9 * DAY) is is_partial


def test_a_day_is_complete_once_its_bar_is_final() -> None:
    day_ns = DAY * MINUTE_NS
    monday = TradeBar("SPY", from_ns(at(-9 * 60 - DAY)), 1, 1, 1, 1, 1, resolution=Resolution.DAILY)
    tuesday_ns = at(-9 * 60)
    stored = Bars.of([monday]).block
    assert complete_until(stored, at(9 * DAY), tuesday_ns + day_ns) == tuesday_ns
    assert complete_until(stored, at(9 * DAY), tuesday_ns + 2 * day_ns) > tuesday_ns


def test_without_bars_completeness_follows_from_the_time() -> None:
    nothing = empty_block("iex")
    assert complete_until(nothing, at(60), at(0)) < at(0)
    assert complete_until(nothing, at(60), at(9 * 60)) == at(60)
