"""Longer bars of real minutes, against another build of the same data and against pandas."""

from datetime import time

import numpy as np
import pandas as pd
import pytest

from lean_lite.blocks.resample import resample
from lean_lite.model import Resolution
from tests.harness.paths import ROOT
from tests.harness.recordings import OHLCV, block_of_recorded, recorded, to_ns_since_1970

HOURS = ROOT / "tests" / "data" / "hours.csv"
SYMBOLS = ("SPY", "AAPL", "BTC/USD")
LENGTHS = {"5min": "5min", "30min": "30min", "hour": "1h", "4h": "4h", "daily": "1D"}
FOLDS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def reference(symbol: str) -> pd.DataFrame:
    rows = pd.read_csv(HOURS, dtype=dict.fromkeys(OHLCV, float), parse_dates=["hour"])
    return rows[rows["symbol"] == symbol].set_index("hour")


def folded_by_pandas(symbol: str, length: str, *, extended: bool) -> pd.DataFrame:
    """Return longer bars by the wall clock, as pandas groups them."""
    frame = recorded(symbol)
    if not extended:
        clock = pd.DatetimeIndex(frame.index).time
        frame = frame[(clock >= time(9, 30)) & (clock < time(16))]
    return frame.groupby(pd.DatetimeIndex(frame.index).floor(length)).agg(FOLDS)


@pytest.mark.parametrize(("symbol", "hours"), [("SPY", 42), ("AAPL", 21)])
def test_every_hour_has_the_volume_of_the_reference(symbol: str, hours: int) -> None:
    expected = reference(symbol)
    folded = resample(block_of_recorded(symbol), Resolution.HOUR, extended=False)
    assert len(folded) == hours
    assert folded["start_ns"].tolist() == to_ns_since_1970(symbol, pd.DatetimeIndex(expected.index))
    assert folded["volume"].tolist() == expected["volume"].tolist()


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("resolution", LENGTHS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_longer_bar_equals_that_of_pandas(
    symbol: str, resolution: str, *, extended: bool
) -> None:
    is_crypto = "/" in symbol
    expected = folded_by_pandas(symbol, LENGTHS[resolution], extended=extended or is_crypto)
    folded = resample(block_of_recorded(symbol), Resolution(resolution), extended=extended)
    assert folded["start_ns"].tolist() == to_ns_since_1970(symbol, pd.DatetimeIndex(expected.index))
    for name in OHLCV[:4]:
        assert folded[name].tolist() == expected[name].tolist(), name
    # Pandas sums fractions in another order.
    rounding = 1e-12 if is_crypto else 0.0
    np.testing.assert_allclose(folded["volume"], expected["volume"], rtol=rounding)
