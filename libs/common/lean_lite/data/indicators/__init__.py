"""
Technical indicators, bar by bar and over history, with the same values.

`update` adds the next bar, or a correction of the last one, and returns the current value. `over`
computes history and returns one value per bar: bars may be in any order; of several bars with one
start the last one counts, and all of them have its value; INVALID bars are skipped and have NaN.

Conventions are those of TA-Lib. Values are NaN until there are enough bars (warm-up). A price that
is not finite makes them NaN again: rolling values until it has left the window, smoothed ones until
they have warmed up again after it.
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
