"""Every indicator against TA-Lib, and its edge cases."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib

from lean_lite.blocks import concat
from lean_lite.data.bars import Bars
from lean_lite.data.indicators import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    VWAP,
    Bands,
    Bollinger,
    Indicators,
    MACDLines,
)
from lean_lite.model import Resolution, TradeBar
from tests.harness.indicator_bars import (
    RECORDED,
    Floats,
    as_columns,
    bar,
    bar_by_bar,
    bars_of,
    over_history,
    recorded,
)

# Absolute, in dollars or points; BTC/USD is at 7,000 dollars.
TOLERANCE = 1e-9

SETTINGS: dict[Callable[..., Any], list[tuple[Any, ...]]] = {
    SMA: [(1,), (2,), (5,), (20,), (50,), (200,), (1_000,)],
    EMA: [(1,), (2,), (12,), (26,), (200,), (1_000,)],
    RSI: [(2,), (14,), (100,)],
    ATR: [(1,), (2,), (14,), (100,)],
    MACD: [(12, 26, 9), (2, 3, 1), (5, 35, 5), (19, 300, 50)],
    Bollinger: [(20, 2.0), (2, 1.0), (50, 2.5), (300, 0.0)],
}
TALIB: dict[Any, Callable[..., Any]] = {
    SMA: talib.SMA,
    EMA: talib.EMA,
    RSI: talib.RSI,
    MACD: talib.MACD,
}
CASES = [(kind, given) for kind, cases in SETTINGS.items() for given in cases]
every_case = pytest.mark.parametrize(
    ("kind", "given"), CASES, ids=[f"{kind.__name__}{given}" for kind, given in CASES]
)

ALL: dict[str, Callable[[], Any]] = {
    "SMA": lambda: SMA(20),
    "EMA": lambda: EMA(12),
    "RSI": RSI,
    "MACD": MACD,
    "Bollinger": Bollinger,
    "ATR": ATR,
    "VWAP": VWAP,
    "Indicators": Indicators,
}
NAMES = [
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "macd",
    "macd_signal",
    "macd_hist",
    "rsi",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "atr",
    "vwap",
]


def talib_of(kind: Any, given: tuple[Any, ...], bars: Bars) -> Floats:
    """Return TA-Lib's values, one column per line."""
    high, low, close = (bars.block[name] for name in ("high", "low", "close"))
    if kind is ATR:
        return as_columns(talib.ATR(high, low, close, *given))
    if kind is Bollinger:
        period, width = given
        return as_columns(talib.BBANDS(close, period, width, width))
    return as_columns(TALIB[kind](close, *given))


def assert_close(found: Floats, expected: Floats) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, equal_nan=True)


@pytest.mark.parametrize("symbol", RECORDED)
@every_case
def test_values_over_history_are_those_of_talib(
    kind: Any, given: tuple[Any, ...], symbol: str
) -> None:
    bars = recorded(symbol)
    expected = talib_of(kind, given, bars)
    assert np.isfinite(expected).any()
    assert_close(over_history(kind(*given), bars), expected)


@pytest.mark.parametrize("symbol", RECORDED)
@every_case
def test_values_bar_by_bar_are_those_of_talib(
    kind: Any, given: tuple[Any, ...], symbol: str
) -> None:
    bars = recorded(symbol)
    expected = talib_of(kind, given, bars)
    assert_close(bar_by_bar(kind(*given), bars), expected)


@pytest.mark.parametrize("symbol", RECORDED)
def test_the_suite_has_the_values_of_each_indicator(symbol: str) -> None:
    bars = recorded(symbol)
    lines = Indicators().over(bars)
    assert list(lines) == NAMES
    single = [SMA(20), SMA(50), EMA(12), EMA(26), MACD(), RSI(14), Bollinger(), ATR(14), VWAP()]
    expected = np.hstack([over_history(one, bars) for one in single])
    np.testing.assert_array_equal(as_columns(lines), expected)
    expected = np.hstack([bar_by_bar(one, bars) for one in single])
    np.testing.assert_array_equal(bar_by_bar(Indicators(), bars), expected)


def test_the_suite_has_the_same_names_bar_by_bar() -> None:
    values = Indicators().update(bar(100.0))
    assert list(values) == NAMES
    assert values.pop("vwap") == 100.0
    assert np.isnan(list(values.values())).all()


def test_an_indicator_with_several_lines_returns_them_by_name() -> None:
    bars = bars_of(close=np.arange(40.0))
    bands, macd = Bollinger(2).over(bars), MACD(2, 3, 2).over(bars)
    assert isinstance(bands, Bands)
    assert isinstance(macd, MACDLines)
    assert (bands.lower[-1], bands.middle[-1], bands.upper[-1]) == (37.5, 38.5, 39.5)
    assert macd.histogram[-1] == macd.macd[-1] - macd.signal[-1]


@every_case
@pytest.mark.parametrize("price", [100.0, 0.1, 7_123.45])
def test_values_of_a_constant_series_are_those_of_talib(
    kind: Any, given: tuple[Any, ...], price: float
) -> None:
    bars = bars_of(close=np.full(2_000, price))
    expected = talib_of(kind, given, bars)
    for found in (over_history(kind(*given), bars), bar_by_bar(kind(*given), bars)):
        assert_close(found, expected)


def test_a_constant_series_has_an_rsi_of_zero_and_a_band_without_width() -> None:
    bars = bars_of(close=np.full(100, 0.1))
    assert (RSI().over(bars)[14:] == 0.0).all()
    assert (over_history(Bollinger(), bars)[19:] == 0.1).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 14, 19, 20, 34])
@every_case
def test_values_of_a_short_series_are_those_of_talib(
    kind: Any, given: tuple[Any, ...], rows: int
) -> None:
    bars = recorded("SPY")[:rows]
    expected = talib_of(kind, given, bars)
    for found in (over_history(kind(*given), bars), bar_by_bar(kind(*given), bars)):
        assert_close(found, expected)


@pytest.mark.parametrize("name", ALL)
def test_an_empty_history_has_no_values(name: str) -> None:
    nothing: list[TradeBar] = []
    for bars in (nothing, recorded("SPY")[:0]):
        assert not len(over_history(ALL[name](), bars))


@pytest.mark.parametrize("name", ALL)
def test_any_sequence_of_bars_is_accepted(name: str) -> None:
    bars = recorded("AAPL")[:200]
    np.testing.assert_array_equal(
        over_history(ALL[name](), list(bars)), over_history(ALL[name](), bars)
    )


@pytest.mark.parametrize("name", ALL)
def test_over_does_not_change_the_state_of_update(name: str) -> None:
    bars = recorded("AAPL")
    indicator = ALL[name]()
    bar_by_bar(indicator, bars[:100])
    indicator.over(recorded("SPY"))
    np.testing.assert_array_equal(
        bar_by_bar(indicator, bars[100:150]), bar_by_bar(ALL[name](), bars[:150])[100:]
    )


@pytest.mark.parametrize("kind", [SMA, EMA, RSI, ATR, Bollinger])
@pytest.mark.parametrize("period", [0, -1, 2.5, float("nan"), float("inf")])
def test_an_invalid_period_is_refused(kind: Any, period: float) -> None:
    with pytest.raises(ValueError, match=f"period must be a whole number of bars.*not {period}"):
        kind(period)


@pytest.mark.parametrize("name", ["fast", "slow", "signal"])
def test_an_invalid_period_of_macd_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"{name} must be a whole number of bars, 1 or more, not 0"
    ):
        MACD(**{name: 0})


@pytest.mark.parametrize("slow", [12, 11])
def test_a_slow_period_that_is_not_longer_is_refused(slow: int) -> None:
    with pytest.raises(
        ValueError, match=f"slow must be longer than fast, not {slow} bars against 12"
    ):
        MACD(12, slow)


@pytest.mark.parametrize("deviations", [-1.0, float("nan"), float("inf")])
def test_an_invalid_width_of_a_band_is_refused(deviations: float) -> None:
    with pytest.raises(ValueError, match="deviations must be a finite number of 0 or more"):
        Bollinger(20, deviations)


@pytest.mark.parametrize("name", ALL)
def test_history_of_several_symbols_is_refused(name: str) -> None:
    mixed = [bar(1.0, 0, "SPY"), bar(1.0, 1, "AAPL")]
    with pytest.raises(ValueError, match="bars of one symbol, found SPY, AAPL"):
        ALL[name]().over(mixed)


@pytest.mark.parametrize("name", ALL)
def test_a_live_bar_of_another_symbol_is_refused(name: str) -> None:
    indicator = ALL[name]()
    indicator.update(bar(1.0, 0, "SPY"))
    with pytest.raises(ValueError, match="has minute bars of SPY, not minute bars of AAPL"):
        indicator.update(bar(1.0, 1, "AAPL"))


def test_a_live_bar_of_another_resolution_is_refused() -> None:
    sma = SMA(2)
    sma.update(bar(1.0))
    with pytest.raises(ValueError, match="has minute bars of SPY, not hour bars of SPY"):
        sma.update(bar(1.0, 60, resolution=Resolution.HOUR))


def test_a_slice_with_one_symbol_of_several_is_accepted() -> None:
    both = Bars(concat([recorded("SPY").block, recorded("AAPL").block]))
    found = SMA(20).over(both[len(recorded("SPY")) :])
    np.testing.assert_array_equal(found, SMA(20).over(recorded("AAPL")))
