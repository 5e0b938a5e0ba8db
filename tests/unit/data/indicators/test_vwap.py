"""VWAP against an independent computation in pandas."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from lean_lite.data.bars import Bars
from lean_lite.data.indicators import VWAP
from lean_lite.model import Resolution, TradeBar
from tests.harness.indicator_bars import MINUTE_NS, RECORDED, Floats, bars_of, recorded

DAILY = Resolution.DAILY
NEW_YORK = ZoneInfo("America/New_York")


def expected_of(bars: Bars) -> Floats:
    """Return the VWAP by the trading day of the bars' market."""
    frame = bars.to_df()
    price = frame["vwap"].fillna((frame["high"] + frame["low"] + frame["close"]) / 3)
    symbol = bars.block.symbols[0]
    index = pd.DatetimeIndex(frame.index)
    local = index if symbol == "BTC/USD" else index.tz_convert("America/New_York")
    clock = local.tz_localize(None)
    day = (clock + pd.Timedelta(hours=7) if symbol == "EUR/USD" else clock).normalize()
    value = (price * frame["volume"]).groupby(day).cumsum()
    return np.asarray(value / frame["volume"].groupby(day).cumsum())


def market(symbol: str, step_minutes: int, *, seed: int = 3) -> Bars:
    """Return four weeks around the clock change in March, some bars without a VWAP."""
    source = np.random.default_rng(seed)
    rows = 28 * 1_440 // step_minutes
    first = datetime(2026, 2, 24, tzinfo=UTC)
    close = 100 + source.normal(0, 0.1, rows).cumsum()
    return bars_of(
        symbol,
        start_ns=int(first.timestamp()) * 10**9 + step_minutes * MINUTE_NS * np.arange(rows),
        close=close,
        high=close + source.random(rows),
        low=close - source.random(rows),
        volume=source.integers(0, 4, rows) * source.random(rows),
        vwap=np.where(source.random(rows) < 0.3, np.nan, close + source.normal(0, 0.1, rows)),
    )


@pytest.mark.parametrize("symbol", RECORDED)
def test_values_of_recorded_days_are_those_of_pandas(symbol: str) -> None:
    bars = recorded(symbol)
    found, expected = VWAP().over(bars), expected_of(bars)
    np.testing.assert_allclose(found, expected, rtol=1e-12, equal_nan=True)
    vwap = VWAP()
    np.testing.assert_array_equal([vwap.update(one) for one in bars], found)


@pytest.mark.parametrize("step_minutes", [7, 60])
@pytest.mark.parametrize("symbol", ["SPY", "BTC/USD", "EUR/USD"])
def test_each_market_has_its_own_trading_days(symbol: str, step_minutes: int) -> None:
    bars = market(symbol, step_minutes)
    found, expected = VWAP().over(bars), expected_of(bars)
    assert np.isnan(found).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12, equal_nan=True)
    vwap = VWAP()
    np.testing.assert_array_equal([vwap.update(one) for one in bars], found)


def at(symbol: str, start: datetime, price: float, volume: float = 1.0) -> TradeBar:
    return TradeBar(symbol, start, price, price, price, price, volume)


@pytest.mark.parametrize(
    ("symbol", "day_start"),
    [
        ("SPY", datetime(2026, 3, 6, 0, 0, tzinfo=NEW_YORK)),
        ("SPY", datetime(2026, 3, 10, 0, 0, tzinfo=NEW_YORK)),
        ("BTC/USD", datetime(2026, 3, 10, 0, 0, tzinfo=UTC)),
        ("EUR/USD", datetime(2026, 3, 6, 17, 0, tzinfo=NEW_YORK)),
        ("EUR/USD", datetime(2026, 3, 9, 17, 0, tzinfo=NEW_YORK)),
    ],
)
def test_the_sums_are_reset_at_the_first_minute_of_a_day(symbol: str, day_start: datetime) -> None:
    before = datetime.fromtimestamp(day_start.timestamp() - 60, UTC)
    bars = [at(symbol, before, 1.0), at(symbol, day_start, 3.0)]
    vwap = VWAP()
    assert [vwap.update(one) for one in bars] == [1.0, 3.0]
    assert VWAP().over(bars).tolist() == [1.0, 3.0]


def test_the_value_is_nan_before_any_volume() -> None:
    bars = bars_of(close=[10.0, 10.0, 12.0, 99.0], volume=[0.0, 0.0, 2.0, 0.0])
    vwap = VWAP()
    for found in (VWAP().over(bars), [vwap.update(one) for one in bars]):
        np.testing.assert_array_equal(found, [np.nan, np.nan, 12.0, 12.0])


@pytest.mark.parametrize("column", ["close", "volume"])
def test_the_value_is_nan_for_the_rest_of_a_day_after_a_number_that_is_not_finite(
    column: str,
) -> None:
    bars = market("BTC/USD", 60)
    missing = np.full(len(bars), np.nan)
    columns = {"vwap": missing, "volume": np.ones(len(bars)), "close": bars.block["close"]}
    columns[column] = np.where(np.arange(len(bars)) == 30, np.nan, columns[column])
    disturbed = Bars(bars.block.with_columns(**columns))
    found = VWAP().over(disturbed)
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(30, 48))


def test_each_daily_bar_is_its_own_trading_day() -> None:
    daily = [
        TradeBar("SPY", datetime(2026, 3, day, tzinfo=NEW_YORK), 1, 3, 1, 2, 9, price, 1, DAILY)
        for day, price in ((5, None), (6, 1.5), (9, None))
    ]
    assert VWAP().over(daily).tolist() == [2.0, 1.5, 2.0]
