"""The exponential moving average."""

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.smoothing import Level, Smoothing
from lean_lite.model import TradeBar


class EMA(Line[Level]):
    """
    Follow the exponential average of closes, in which a new one weighs 2 / (period + 1).

    As TA-Lib's EMA: seeded by the mean of the first `period` closes, where the first value stands.
    """

    def __init__(self, period: int) -> None:
        """Take the number of bars; ValueError when it is not positive."""
        self._smoothing = Smoothing.exponential(validate_period(period))
        super().__init__(self._smoothing.start)

    def step(self, state: Level, bar: TradeBar) -> tuple[Level, tuple[float]]:
        """Return what is known after a bar, and the average."""
        state, average = self._smoothing.step(state, bar.close)
        return state, (average,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the average at each bar."""
        return (self._smoothing.over(block["close"]),)
