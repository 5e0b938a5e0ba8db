"""The simple moving average."""

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.rolling import RollingMoments, RollingState
from lean_lite.model import TradeBar


class SMA(Line[RollingState]):
    """
    Follow the mean of the last `period` closes.

    As TA-Lib's SMA; the first value stands at bar `period`.
    """

    def __init__(self, period: int) -> None:
        """Take the number of bars; ValueError when it is not positive."""
        self._window = RollingMoments(validate_period(period))
        super().__init__(self._window.start)

    def step(self, state: RollingState, bar: TradeBar) -> tuple[RollingState, tuple[float]]:
        """Return what is known after a bar, and the mean."""
        state, mean, _ = self._window.step(state, bar.close)
        return state, (mean,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the mean at each bar."""
        mean, _ = self._window.over(block["close"])
        return (mean,)
