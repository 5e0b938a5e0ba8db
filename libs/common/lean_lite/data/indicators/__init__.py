"""
Technical indicators, bar by bar and over history, with the same numbers.

`update` takes the next bar, or another version of the last one, and returns the value now. `over`
takes history and returns one value for each bar: of bars with one start the last given counts, in
whatever order they come, and each of them has the value of that start; a bar that is graded INVALID
counts for nothing and has NaN. Conventions are those of TA-Lib. Values are NaN until there are
enough bars, and again after a price that is no number, which is forgotten with its window; what is
smoothed begins anew behind it.
"""

from lean_lite.data.indicators.atr import ATR
from lean_lite.data.indicators.bollinger import Bands, Bollinger
from lean_lite.data.indicators.ema import EMA
from lean_lite.data.indicators.macd import MACD, MACDLines
from lean_lite.data.indicators.rsi import RSI
from lean_lite.data.indicators.sma import SMA
from lean_lite.data.indicators.suite import Indicators
from lean_lite.data.indicators.vwap import VWAP

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "VWAP",
    "Bands",
    "Bollinger",
    "Indicators",
    "MACDLines",
]
