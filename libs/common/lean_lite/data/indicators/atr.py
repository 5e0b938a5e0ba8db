"""The average true range."""

from math import inf, nan

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Level, Smoothing
from lean_lite.model import TradeBar

# The last close, and the average.
type Reach = tuple[float, Level]


class ATR(Line[Reach]):
    """
    Follow the average of how far prices reach from bar to bar.

    Wilder's ("New Concepts in Technical Trading Systems", 1978) in the form of TA-Lib's ATR: the
    true range is the span of a bar together with the close before it, which the first bar lacks;
    its average has the weight 1 / period and is seeded by the mean of the first `period` ranges,
    where the first value stands.
    """

    def __init__(self, period: int = 14) -> None:
        """Take the number of ranges; ValueError when it is not positive."""
        self._smoothing = Smoothing.wilder(validate_period(period))
        super().__init__((nan, self._smoothing.start))

    def step(self, state: Reach, bar: TradeBar) -> tuple[Reach, tuple[float]]:
        """Return what is known after a bar, and the average."""
        before, level = state
        spans = bar.high - bar.low, abs(bar.high - before), abs(bar.low - before)
        level, average = self._smoothing.step(level, max(spans) if sum(spans) < inf else nan)
        return (bar.close, level), (average,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the average at each bar."""
        high, low = block["high"], block["low"]
        before = np.append(nan, block["close"][:-1])[: len(block)]
        ranges = high - low
        for end in (high, low):
            np.maximum(ranges, np.abs(end - before), out=ranges)
        return (self._smoothing.over(ranges),)
