"""Moving average convergence and divergence."""

from collections.abc import Sequence
from math import isnan, nan
from typing import NamedTuple

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Indicator
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Level, Smoothing
from lean_lite.model import TradeBar


class MACDLines[Value](NamedTuple):
    """Hold the difference of two averages, its own average, and the difference of these two."""

    macd: Value
    signal: Value
    histogram: Value


# The fast and the slow average of closes, and the average of their difference.
type Averages = tuple[Level, Level, Level]


class MACD(Indicator[Averages]):
    """
    Follow the difference of a fast and a slow EMA of closes, and its EMA over `signal` bars.

    Appel's in the form of TA-Lib's MACD: the fast average is seeded by the last `fast` of the
    first `slow` closes, so that both begin at the same bar; the signal by the first `signal`
    differences, and the first values of all three stand there.
    """

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        """Take numbers of bars; ValueError when one is not positive or slow is not longer."""
        fast, slow, signal = (
            validate_period(fast, "fast"),
            validate_period(slow, "slow"),
            validate_period(signal, "signal"),
        )
        if slow <= fast:
            message = f"slow is longer than fast, not {slow} bars against {fast}"
            raise ValueError(message)
        self._fast = Smoothing.exponential(fast, skipped=slow - fast)
        self._slow = Smoothing.exponential(slow)
        self._signal = Smoothing.exponential(signal)
        super().__init__((self._fast.start, self._slow.start, self._signal.start))

    def update(self, bar: TradeBar) -> MACDLines[float]:
        """Take the next bar, or another version of the last one; return the values now."""
        return MACDLines(*self._update(bar))

    def over(self, bars: Sequence[TradeBar]) -> MACDLines[Floats]:
        """Return the values at each bar of history; what `update` knows stays as it is."""
        return MACDLines(*self._over(bars))

    def step(self, state: Averages, bar: TradeBar) -> tuple[Averages, tuple[float, ...]]:
        """Return what is known after a bar, and the three values."""
        fast, slow, signal = state
        fast, fast_average = self._fast.step(fast, bar.close)
        slow, slow_average = self._slow.step(slow, bar.close)
        macd = fast_average - slow_average
        signal, average = self._signal.step(signal, macd)
        shown = nan if isnan(average) else macd
        return (fast, slow, signal), (shown, average, macd - average)

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return the three values at each bar."""
        closes = block["close"]
        macd = self._fast.over(closes) - self._slow.over(closes)
        average = self._signal.over(macd)
        return np.where(np.isnan(average), nan, macd), average, macd - average
