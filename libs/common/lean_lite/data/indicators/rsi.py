"""The relative strength index."""

from math import nan

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import TINY, Floats, usable, usable_values, validate_period
from lean_lite.data.indicators.smoothing import Level, Smoothing
from lean_lite.model import TradeBar

# The last close, and the smoothed gains and losses.
type Changes = tuple[float, Level, Level]


class RSI(Line[Changes]):
    """
    Follow the share of gains in all changes of the close, 0 to 100.

    Wilder's ("New Concepts in Technical Trading Systems", 1978) in the form of TA-Lib's RSI:
    100 * gain / (gain + loss), both smoothed with weight 1 / period and seeded by the mean of the
    first `period` changes, where the first value stands. It is 0 when nothing has changed.
    """

    def __init__(self, period: int = 14) -> None:
        """Take the number of changes; ValueError when it is not positive."""
        self._smoothing = Smoothing.wilder(validate_period(period))
        super().__init__((nan, self._smoothing.start, self._smoothing.start))

    def step(self, state: Changes, bar: TradeBar) -> tuple[Changes, tuple[float]]:
        """Return what is known after a bar, and the index."""
        before, gains, losses = state
        change = usable(bar.close - before)
        # The change comes first: of NaN and a number, max returns the first.
        gains, gain = self._smoothing.step(gains, max(change, 0.0))
        losses, loss = self._smoothing.step(losses, max(-change, 0.0))
        change = gain + loss
        share = 0.0 if change < TINY else 100.0 * (gain / change)
        return (bar.close, gains, losses), (share,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the index at each bar."""
        closes = block["close"]
        changes = usable_values(np.diff(closes, prepend=nan))
        gain = self._smoothing.over(np.maximum(changes, 0.0))
        loss = self._smoothing.over(np.maximum(-changes, 0.0))
        change = np.add(gain, loss, out=loss)
        share = np.divide(gain, change, out=gain, where=change >= TINY)
        share *= 100.0
        share[change < TINY] = 0.0
        return (share,)
