"""Exponential moving average."""

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Smoothing, SmoothingState
from lean_lite.model import TradeBar


class EMA(Line[SmoothingState]):
    """
    Exponential moving average of closes: EMA[t] = EMA[t-1] + 2 / (n + 1) * (C[t] - EMA[t-1]).

    As TA-Lib's EMA; the first value, at bar `period`, is the mean of the first `period` closes.

    Args:
        period: number of bars n.

    Raises:
        ValueError: the period is not a whole number of 1 or more.
    """

    def __init__(self, period: int) -> None:
        self._smoothing = Smoothing.exponential(validate_period(period))
        super().__init__(self._smoothing.start)

    def step(self, state: SmoothingState, bar: TradeBar) -> tuple[SmoothingState, tuple[float]]:
        """Return the state after a bar, and the average."""
        state, average = self._smoothing.step(state, bar.close)
        return state, (average,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the average at each bar."""
        return (self._smoothing.over(block["close"]),)
