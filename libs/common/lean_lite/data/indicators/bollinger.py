"""Bollinger bands."""

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Indicator
from lean_lite.data.indicators.numeric import Floats, validate_period
from lean_lite.data.indicators.rolling import RollingMoments, RollingState
from lean_lite.model import TradeBar


class Bands[Value](NamedTuple):
    """Hold a band around a mean."""

    upper: Value
    middle: Value
    lower: Value


class Bollinger(Indicator[RollingState]):
    """
    Follow the mean of the last `period` closes, and a band of so many deviations around it.

    Bollinger's ("Bollinger on Bollinger Bands", 2001) in the form of TA-Lib's BBANDS: the
    deviation is that of a population, the root of the mean square.
    """

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        """Take how many bars and how wide; ValueError for no bars and for a negative width."""
        if not 0.0 <= deviations < inf:
            message = f"deviations is a number, at least 0, not {deviations}"
            raise ValueError(message)
        self._window = RollingMoments(validate_period(period))
        self._deviations = deviations
        super().__init__(self._window.start)

    def update(self, bar: TradeBar) -> Bands[float]:
        """Take the next bar, or another version of the last one; return the band now."""
        return Bands(*self._update(bar))

    def over(self, bars: Sequence[TradeBar]) -> Bands[Floats]:
        """Return the band at each bar of history; what `update` knows stays as it is."""
        return Bands(*self._over(bars))

    def step(self, state: RollingState, bar: TradeBar) -> tuple[RollingState, tuple[float, ...]]:
        """Return what is known after a bar, and the band."""
        state, mean, variance = self._window.step(state, bar.close)
        width = self._deviations * sqrt(variance)
        return state, (mean + width, mean, mean - width)

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return the band at each bar."""
        mean, variance = self._window.over(block["close"])
        width = self._deviations * np.sqrt(variance)
        return mean + width, mean, mean - width
