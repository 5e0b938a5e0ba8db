"""Average true range."""

from math import inf, nan

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Smoothing, SmoothingState
from lean_lite.model import TradeBar

# The last close, and the average of true ranges.
type ATRState = tuple[float, SmoothingState]


class ATR(Line[ATRState]):
    """
    Average true range: ATR[t] = ATR[t-1] + (TR[t] - ATR[t-1]) / n, in units of the price.

    TR[t] = max(H[t] - L[t], |H[t] - C[t-1]|, |L[t] - C[t-1]|); the first bar has none. Source:
    Wilder, "New Concepts in Technical Trading Systems", 1978, as TA-Lib's ATR. The first value, at
    bar `period` + 1, is the mean of the first `period` true ranges.

    Args:
        period: number of true ranges n.

    Raises:
        ValueError: the period is not a whole number of 1 or more.
    """

    def __init__(self, period: int = 14) -> None:
        self._smoothing = Smoothing.wilder(validate_period(period))
        super().__init__((nan, self._smoothing.start))

    def step(self, state: ATRState, bar: TradeBar) -> tuple[ATRState, tuple[float]]:
        """Return the state after a bar, and the average."""
        previous, smoothed = state
        spans = bar.high - bar.low, abs(bar.high - previous), abs(bar.low - previous)
        smoothed, average = self._smoothing.step(smoothed, max(spans) if sum(spans) < inf else nan)
        return (bar.close, smoothed), (average,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the average at each bar."""
        high, low = block["high"], block["low"]
        previous = np.append(nan, block["close"][:-1])[: len(block)]
        ranges = high - low
        for end in (high, low):
            np.maximum(ranges, np.abs(end - previous), out=ranges)
        return (self._smoothing.over(ranges),)
