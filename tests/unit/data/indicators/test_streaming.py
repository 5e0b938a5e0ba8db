"""Values bar by bar and over history are equal, also with corrections and extreme numbers."""

import pickle
from collections.abc import Callable
from math import fsum, nan
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data.bars import Bars
from lean_lite.data.indicators import ATR, EMA, MACD, RSI, SMA, VWAP, Bollinger, Indicators
from lean_lite.model import DataQualityLevel, TradeBar
from tests.harness.indicator_bars import (
    EXTREME,
    Floats,
    bar,
    bar_by_bar,
    bars_of,
    over_history,
    recorded,
    streams,
)

periods = st.integers(1, 5)
EXACT: dict[str, Callable[[int], Any]] = {
    "SMA": SMA,
    "Bollinger": Bollinger,
    "VWAP": lambda _: VWAP(),
}
SMOOTHED: dict[str, Callable[[int], Any]] = {
    "EMA": EMA,
    "RSI": RSI,
    "ATR": ATR,
    "MACD": lambda period: MACD(period, period + 2, period),
}
KINDS = EXACT | SMOOTHED


def latest_versions(stream: list[TradeBar]) -> list[TradeBar]:
    """Return the last version of each bar."""
    return list({one.timestamp: one for one in stream}.values())


def scale(stream: list[TradeBar]) -> float:
    """Return the magnitude of the prices."""
    sizes = [abs(price) for one in stream for price in (one.high, one.low, one.close)]
    return max((size for size in sizes if size < 1e6), default=1.0)


def assert_same(name: str, found: Floats, expected: Floats, stream: list[TradeBar]) -> None:
    """Compare sums exactly, and smoothed values to twelve digits."""
    if name in EXACT:
        np.testing.assert_array_equal(found, expected)
    else:
        unit = 100.0 if name == "RSI" else scale(stream)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * unit, equal_nan=True)


def rows_of_latest(stream: list[TradeBar], rows: Floats) -> Floats:
    """Return the rows of the last version of each bar."""
    last = {one.timestamp: row for row, one in enumerate(stream)}
    return rows[list(last.values())]


@pytest.mark.parametrize("name", KINDS)
@given(stream=streams(), period=periods)
def test_values_bar_by_bar_are_those_over_the_latest_versions(
    name: str, stream: list[TradeBar], period: int
) -> None:
    found = rows_of_latest(stream, bar_by_bar(KINDS[name](period), stream))
    assert_same(name, found, over_history(KINDS[name](period), latest_versions(stream)), stream)


@pytest.mark.parametrize("name", KINDS)
@given(stream=streams(), period=periods)
def test_earlier_versions_of_a_bar_have_no_effect(
    name: str, stream: list[TradeBar], period: int
) -> None:
    found = rows_of_latest(stream, bar_by_bar(KINDS[name](period), stream))
    np.testing.assert_array_equal(found, bar_by_bar(KINDS[name](period), latest_versions(stream)))


@pytest.mark.parametrize("name", KINDS)
@given(stream=streams(max_size=12), period=st.integers(1, 3))
def test_every_value_is_that_over_the_bars_so_far(
    name: str, stream: list[TradeBar], period: int
) -> None:
    found = bar_by_bar(KINDS[name](period), stream)
    for count in range(1, len(stream) + 1):
        expected = over_history(KINDS[name](period), stream[:count])[-1]
        assert_same(name, found[count - 1], expected, stream)


@pytest.mark.parametrize("name", EXACT)
@given(stream=streams(EXTREME), period=periods)
def test_sums_of_extreme_numbers_are_the_same(
    name: str, stream: list[TradeBar], period: int
) -> None:
    bars = latest_versions(stream)
    found = bar_by_bar(EXACT[name](period), bars)
    np.testing.assert_array_equal(found, over_history(EXACT[name](period), bars))


@pytest.mark.parametrize("name", SMOOTHED)
@given(
    stream=streams(st.sampled_from([0.0, -37.63, nan, np.inf, -np.inf, 1e200])),
    period=st.integers(1, 3),
)
def test_extreme_numbers_reset_averages_at_the_same_bars(
    name: str, stream: list[TradeBar], period: int
) -> None:
    bars = latest_versions(stream)
    found, expected = (
        bar_by_bar(SMOOTHED[name](period), bars),
        over_history(SMOOTHED[name](period), bars),
    )
    assert_same(name, found, expected, bars)


@given(stream=streams(), order=st.randoms(use_true_random=False))
def test_history_may_be_in_any_order(stream: list[TradeBar], order: Random) -> None:
    bars = latest_versions(stream)
    positions = order.sample(range(len(bars)), len(bars))
    found = over_history(Indicators(), [bars[position] for position in positions])
    np.testing.assert_array_equal(found, over_history(Indicators(), bars)[positions])


@given(stream=streams())
def test_every_version_of_a_bar_has_the_value_of_the_last_one(stream: list[TradeBar]) -> None:
    bars = latest_versions(stream)
    row = {one.timestamp: row for row, one in enumerate(bars)}
    expected = over_history(Indicators(), bars)[[row[one.timestamp] for one in stream]]
    np.testing.assert_array_equal(over_history(Indicators(), stream), expected)


def test_an_older_bar_is_refused_and_changes_nothing() -> None:
    bars = list(recorded("SPY")[:100])
    disturbed, indicator = Indicators(), Indicators()
    for one in bars[:60]:
        disturbed.update(one)
        indicator.update(one)
    with pytest.raises(ValueError, match=r"older than the last one.*compute again with `over`"):
        disturbed.update(bars[58])
    for one in bars[60:]:
        np.testing.assert_equal(disturbed.update(one), indicator.update(one))


def test_a_late_correction_counts_when_history_is_computed_again() -> None:
    bars = [bar(float(minute), minute) for minute in range(4)]
    found = SMA(2).over([*bars, bar(100.0, 1)])
    np.testing.assert_array_equal(found, [nan, 50.0, 51.0, 2.5, 50.0])


def test_an_invalid_row_is_skipped() -> None:
    bars = recorded("SPY")[:300]
    levels = np.full(len(bars), DataQualityLevel.EXCELLENT.code, np.uint8)
    levels[[0, 7, 150, 299]] = DataQualityLevel.INVALID.code
    graded = Bars(bars.block.with_columns(level=levels))
    valid = Bars(bars.block.take(levels > 0))
    for name, line in Indicators().over(graded).items():
        assert np.isnan(line[levels == 0]).all()
        np.testing.assert_array_equal(line[levels > 0], Indicators().over(valid)[name])


def test_an_invalid_version_does_not_replace_a_valid_one() -> None:
    bars = bars_of(start_ns=[0, 60, 60], close=[1.0, 3.0, 9.0])
    graded = Bars(bars.block.with_columns(level=np.array([4, 4, 0], np.uint8)))
    np.testing.assert_array_equal(SMA(2).over(graded), [nan, 2.0, nan])


@pytest.mark.parametrize("extreme", [nan, np.inf, 1e149, 1e200, -1e12])
@pytest.mark.parametrize("kind", [SMA, Bollinger])
def test_an_extreme_price_has_no_effect_after_its_window(kind: Any, extreme: float) -> None:
    close = np.array(recorded("SPY").block["close"])
    expected = over_history(kind(20), bars_of(close=close))
    close[1_000] = extreme
    disturbed = bars_of(close=close)
    for found in (over_history(kind(20), disturbed), bar_by_bar(kind(20), list(disturbed))):
        np.testing.assert_array_equal(found[1_020:], expected[1_020:])
        np.testing.assert_array_equal(found[:1_000], expected[:1_000])


@pytest.mark.parametrize("extreme", [nan, np.inf, 1e200])
@pytest.mark.parametrize("kind", [EMA, RSI, ATR, lambda period: MACD(2, period, 5)])
def test_an_average_starts_again_after_a_price_that_is_not_finite(
    kind: Any, extreme: float
) -> None:
    close = np.array(recorded("SPY").block["close"])
    close[1_000] = extreme
    found = over_history(kind(14), bars_of(close=close))
    np.testing.assert_allclose(
        found[1_001:],
        over_history(kind(14), bars_of(close=close[1_001:])),
        rtol=1e-12,
        equal_nan=True,
    )
    np.testing.assert_array_equal(
        found[:1_000], over_history(kind(14), bars_of(close=close[:1_000]))
    )


def test_a_large_price_leaves_no_error_after_a_hundred_thousand_bars() -> None:
    close = 100 + np.random.default_rng(7).normal(0, 0.01, 100_000)
    close[10] = 1e12
    bars = bars_of(close=close)
    bollinger, sma = Bollinger(20), SMA(50)
    for one in bars:
        band, mean = bollinger.update(one), sma.update(one)
    last = close[-20:].tolist()
    middle = fsum(last) / 20
    width = 2 * (fsum((price - middle) ** 2 for price in last) / 20) ** 0.5
    assert band.middle == pytest.approx(middle, rel=1e-14)
    assert band.upper - band.middle == pytest.approx(width, rel=1e-10)
    assert mean == pytest.approx(fsum(close[-50:].tolist()) / 50, rel=1e-14)
    assert Bollinger(20).over(bars).upper[-1] == band.upper


def test_the_state_of_an_indicator_is_bounded_by_its_periods() -> None:
    indicator, sizes = Indicators(), {}
    for count, one in enumerate(recorded("SPY"), 1):
        indicator.update(one)
        sizes[count] = len(pickle.dumps(indicator))
    assert sizes[4_800] < sizes[400] + 100
    assert max(sizes.values()) < 10_000


def test_a_pickled_indicator_continues() -> None:
    bars = recorded("AAPL")
    indicator = Indicators()
    for one in bars[:77]:
        indicator.update(one)
    restored = pickle.loads(pickle.dumps(indicator))
    for one in bars[76:160]:
        np.testing.assert_equal(restored.update(one), indicator.update(one))
