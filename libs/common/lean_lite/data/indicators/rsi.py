"""Relative strength index."""

from math import nan

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import TINY, Floats, usable, usable_values, validate_period
from lean_lite.data.indicators.smoothing import Smoothing, SmoothingState
from lean_lite.model import TradeBar

# The last close, and the smoothed gains and losses.
type RSIState = tuple[float, SmoothingState, SmoothingState]


class RSI(Line[RSIState]):
    """
    Relative strength index: RSI = 100 * G / (G + L), 0 to 100; 0 if no price has changed.

    G and L are the gains and losses from close to close, each smoothed with the weight 1 / n.
    Source: Wilder, "New Concepts in Technical Trading Systems", 1978, as TA-Lib's RSI. The first
    value, at bar `period` + 1, has the means of the first `period` changes.

    Args:
        period: number of changes n.

    Raises:
        ValueError: the period is not a whole number of 1 or more.
    """

    def __init__(self, period: int = 14) -> None:
        self._smoothing = Smoothing.wilder(validate_period(period))
        super().__init__((nan, self._smoothing.start, self._smoothing.start))

    def step(self, state: RSIState, bar: TradeBar) -> tuple[RSIState, tuple[float]]:
        """Return the state after a bar, and the index."""
        previous, gains, losses = state
        change = usable(bar.close - previous)
        # The change is the first argument: of NaN and a number, max returns the first.
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
