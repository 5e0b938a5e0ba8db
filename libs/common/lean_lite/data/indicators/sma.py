"""Simple moving average."""

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.rolling import RollingMoments, RollingState
from lean_lite.model import TradeBar


class SMA(Line[RollingState]):
    """
    Simple moving average of closes: SMA = (C[t] + … + C[t - n + 1]) / n.

    As TA-Lib's SMA; the first value is at bar `period`.

    Args:
        period: number of bars n.

    Raises:
        ValueError: the period is not a whole number of 1 or more.
    """

    def __init__(self, period: int) -> None:
        self._window = RollingMoments(validate_period(period))
        super().__init__(self._window.start)

    def step(self, state: RollingState, bar: TradeBar) -> tuple[RollingState, tuple[float]]:
        """Return the state after a bar, and the mean."""
        state, mean, _ = self._window.step(state, bar.close)
        return state, (mean,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the mean at each bar."""
        mean, _ = self._window.over(block["close"])
        return (mean,)
