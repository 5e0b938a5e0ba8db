"""Moving average convergence/divergence."""

from collections.abc import Sequence
from math import isnan, nan
from typing import NamedTuple

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Indicator
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Smoothing, SmoothingState
from lean_lite.model import TradeBar


class MACDLines[Value](NamedTuple):
    """
    Values of a MACD: floats, or arrays of shape (n,).

    Args:
        macd: fast average minus slow average.
        signal: average of `macd`.
        histogram: `macd` minus `signal`.
    """

    macd: Value
    signal: Value
    histogram: Value


# The fast and the slow average of closes, and the average of their difference.
type MACDState = tuple[SmoothingState, SmoothingState, SmoothingState]


class MACD(Indicator[MACDState]):
    """
    Moving average convergence/divergence of closes, in units of the price.

    MACD = EMA(fast) - EMA(slow), signal = EMA(MACD, signal), histogram = MACD - signal. Source:
    Appel, "The Moving Average Convergence-Divergence Trading Method", 1979, as TA-Lib's MACD: the
    fast average is seeded by the last `fast` of the first `slow` closes, so both start at the same
    bar, and the signal by the first `signal` differences. The first values of all three are at bar
    `slow` + `signal` - 1.

    Args:
        fast: number of bars of the fast average.
        slow: number of bars of the slow average.
        signal: number of bars of the signal.

    Raises:
        ValueError: a number is not a whole number of 1 or more, or `slow` is not above `fast`.
    """

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        fast, slow, signal = (
            validate_period(fast, "fast"),
            validate_period(slow, "slow"),
            validate_period(signal, "signal"),
        )
        if slow <= fast:
            message = f"slow must be longer than fast, not {slow} bars against {fast}"
            raise ValueError(message)
        self._fast = Smoothing.exponential(fast, skipped=slow - fast)
        self._slow = Smoothing.exponential(slow)
        self._signal = Smoothing.exponential(signal)
        super().__init__((self._fast.start, self._slow.start, self._signal.start))

    def update(self, bar: TradeBar) -> MACDLines[float]:
        """
        Add the next bar, or a correction of the last one.

        Args:
            bar: bar of the same symbol and resolution as before, not older than the last one.

        Returns:
            The current values; NaN during the warm-up.

        Raises:
            ValueError: the bar is older than the last one, or of another symbol or resolution.
        """
        return MACDLines(*self._update(bar))

    def over(self, bars: Sequence[TradeBar]) -> MACDLines[Floats]:
        """
        Compute the indicator over history, without changing the state of `update`.

        Args:
            bars: bars of one symbol and one resolution.

        Returns:
            float64 arrays of shape (n,), the values at each bar.

        Raises:
            ValueError: the bars are of several symbols or resolutions.
        """
        return MACDLines(*self._over(bars))

    def step(self, state: MACDState, bar: TradeBar) -> tuple[MACDState, tuple[float, ...]]:
        """Return the state after a bar, and the three values."""
        fast, slow, signal = state
        fast, fast_average = self._fast.step(fast, bar.close)
        slow, slow_average = self._slow.step(slow, bar.close)
        macd = fast_average - slow_average
        signal, average = self._signal.step(signal, macd)
        # As in TA-Lib, the line starts with its signal.
        line = nan if isnan(average) else macd
        return (fast, slow, signal), (line, average, macd - average)

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return the three values at each bar."""
        closes = block["close"]
        macd = self._fast.over(closes) - self._slow.over(closes)
        average = self._signal.over(macd)
        return np.where(np.isnan(average), nan, macd), average, macd - average
