from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data import Bars, DataTransformer
from lean_lite.data.bars.bars import OHLCV
from lean_lite.data.indicators.suite import NAMES
from lean_lite.model import Resolution, TradeBar

START = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRICES = OHLCV[:4]


def minutes(count: int, symbol: str = "SPY") -> list[TradeBar]:
    return [
        TradeBar(symbol, START + at * MINUTE, 100 + at, 102 + at, 99 + at, 101 + at, 10 * at)
        for at in range(count)
    ]


closes = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40)


def bars_of(closes: list[float]) -> list[TradeBar]:
    return [
        TradeBar("SPY", START + at * MINUTE, close, close * 1.1, close * 0.9, close, close)
        for at, close in enumerate(closes)
    ]


def test_minutes_are_folded_into_hours_of_the_clock() -> None:
    hours = DataTransformer.resample_bars(minutes(90), Resolution.HOUR)
    assert [f"{bar.timestamp:%H:%M}" for bar in hours] == ["14:00", "15:00"]
    assert hours[0] == TradeBar(
        "SPY", START - 30 * MINUTE, 100, 131, 99, 130, 4_350, resolution=Resolution.HOUR
    )
    # The bars lack the trading before 9:30.
    assert hours.partial.tolist() == [True, False]
    regular = DataTransformer.resample_bars(minutes(90), Resolution.HOUR, extended=False)
    assert regular.partial.tolist() == [False, False]


def test_a_resolution_may_be_a_timedelta() -> None:
    bars = Bars.of(minutes(60))
    assert len(DataTransformer.resample_bars(bars, timedelta(minutes=7))) == 9
    assert DataTransformer.resample_bars(bars, timedelta(minutes=15)).resolution.value == "15min"


def test_empty_bars_are_folded_into_empty_bars() -> None:
    assert len(DataTransformer.resample_bars([], Resolution.HOUR)) == 0


def test_a_resolution_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="minute bars do not add up to second bars"):
        DataTransformer.resample_bars(minutes(2), Resolution.SECOND)
    with pytest.raises(ValueError, match="a bar lasts whole seconds"):
        DataTransformer.resample_bars(minutes(2), timedelta(milliseconds=1))


def test_minmax_maps_each_column_to_zero_and_one() -> None:
    frame = DataTransformer.normalize_data(minutes(3))
    assert list(frame.columns) == list(OHLCV)
    assert [str(at) for at in frame.index[:1]] == ["2026-11-20 14:30:00+00:00"]
    assert frame["close"].tolist() == frame["volume"].tolist() == [0.0, 0.5, 1.0]


def test_zscore_maps_the_mean_to_zero_and_the_deviation_to_one() -> None:
    frame = DataTransformer.normalize_data(minutes(5), method="zscore")
    assert frame.mean().to_numpy() == pytest.approx(np.zeros(5), abs=1e-12)
    assert frame.std(ddof=0).to_numpy() == pytest.approx(np.ones(5))


def test_log_is_the_natural_logarithm() -> None:
    frame = DataTransformer.normalize_data(minutes(3), method="log")
    assert frame["close"].tolist() == pytest.approx(np.log([101.0, 102.0, 103.0]).tolist())
    assert frame["volume"].tolist() == pytest.approx(np.log1p([0.0, 10.0, 20.0]).tolist())


@pytest.mark.parametrize("method", ["minmax", "zscore"])
@pytest.mark.parametrize("jointly", [False, True])
def test_constant_columns_become_zero(method: Any, jointly: Any) -> None:
    flat = [TradeBar("SPY", START + at * MINUTE, 0.1, 0.1, 0.1, 0.1, 7) for at in range(3)]
    frame = DataTransformer.normalize_data(flat, method, jointly=jointly)
    assert frame.to_numpy().tolist() == [[0.0] * 5] * 3


@pytest.mark.parametrize("method", ["minmax", "zscore", "log"])
def test_empty_bars_are_normalized_into_an_empty_dataframe(method: Any) -> None:
    frame = DataTransformer.normalize_data([], method)
    assert frame.empty
    assert list(frame.columns) == list(OHLCV)


@given(closes, st.sampled_from(["minmax", "zscore"]))
def test_jointly_scaled_closes_stay_between_low_and_high(closes: list[float], method: Any) -> None:
    frame = DataTransformer.normalize_data(bars_of(closes), method, jointly=True)
    assert (frame["high"] >= frame[list(PRICES)].max(axis=1) - 1e-9).all()
    assert (frame["low"] <= frame[list(PRICES)].min(axis=1) + 1e-9).all()
    if method == "minmax":
        assert frame[list(PRICES)].to_numpy().min() == 0.0
        assert frame[list(PRICES)].to_numpy().max() == 1.0


@given(closes)
def test_minmax_stays_within_zero_and_one(closes: list[float]) -> None:
    values = DataTransformer.normalize_data(bars_of(closes)).to_numpy()
    assert ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(values).all()


def test_indicators_are_series_indexed_by_the_start_of_bars() -> None:
    found = DataTransformer.calculate_technical_indicators(minutes(60))
    assert list(found) == list(NAMES)
    assert {series.name for series in found.values()} == set(NAMES)
    sma = found["sma_20"]
    assert sma.index.equals(Bars.of(minutes(60)).to_df().index)
    assert sma.isna().sum() == 19
    assert sma.iloc[-1] == pytest.approx(np.mean([101 + at for at in range(40, 60)]))
    assert [len(series) for series in DataTransformer.calculate_technical_indicators([]).values()]
    with pytest.raises(ValueError, match="expected bars of one symbol"):
        DataTransformer.calculate_technical_indicators([*minutes(2), *minutes(2, "AAPL")])


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="invalid method 'max': use minmax, zscore, log"):
        DataTransformer.normalize_data(minutes(2), method="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bars of one symbol, found SPY, AAPL"):
        DataTransformer.normalize_data([*minutes(2), *minutes(2, "AAPL")])
    below = [TradeBar("SPY", START, 1, 1, -1, 1, 1)]
    with pytest.raises(ValueError, match="log needs prices above 0"):
        DataTransformer.normalize_data(below, method="log")
