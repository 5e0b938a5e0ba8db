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
    """
    Bollinger bands: floats, or arrays of shape (n,).

    Args:
        upper: mean plus the width.
        middle: mean.
        lower: mean minus the width.
    """

    upper: Value
    middle: Value
    lower: Value


class Bollinger(Indicator[RollingState]):
    """
    Bollinger bands: the mean of the last n closes, plus and minus k standard deviations.

    The deviation is that of a population: the square root of the mean squared distance. Source:
    Bollinger, "Bollinger on Bollinger Bands", 2001, as TA-Lib's BBANDS. The first values are at bar
    `period`.

    Args:
        period: number of bars n.
        deviations: half the width of the band, k standard deviations.

    Raises:
        ValueError: the period is not a whole number of 1 or more, or the deviations are negative or
            not finite.
    """

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        if not 0.0 <= deviations < inf:
            message = f"deviations must be a finite number of 0 or more, not {deviations}"
            raise ValueError(message)
        self._window = RollingMoments(validate_period(period))
        self._deviations = deviations
        super().__init__(self._window.start)

    def update(self, bar: TradeBar) -> Bands[float]:
        """
        Add the next bar, or a correction of the last one.

        Args:
            bar: bar of the same symbol and resolution as before, not older than the last one.

        Returns:
            The current bands; NaN during the warm-up.

        Raises:
            ValueError: the bar is older than the last one, or of another symbol or resolution.
        """
        return Bands(*self._update(bar))

    def over(self, bars: Sequence[TradeBar]) -> Bands[Floats]:
        """
        Compute the bands over history, without changing the state of `update`.

        Args:
            bars: bars of one symbol and one resolution.

        Returns:
            float64 arrays of shape (n,), the bands at each bar.

        Raises:
            ValueError: the bars are of several symbols or resolutions.
        """
        return Bands(*self._over(bars))

    def step(self, state: RollingState, bar: TradeBar) -> tuple[RollingState, tuple[float, ...]]:
        """Return the state after a bar, and the bands."""
        state, mean, variance = self._window.step(state, bar.close)
        width = self._deviations * sqrt(variance)
        return state, (mean + width, mean, mean - width)

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return the bands at each bar."""
        mean, variance = self._window.over(block["close"])
        width = self._deviations * np.sqrt(variance)
        return mean + width, mean, mean - width
