"""Exponential smoothing with a seed, of single values and of arrays."""

from math import nan

import numpy as np
import numpy.typing as npt

from lean_lite.data.indicators.numeric import LARGEST, TINY, Floats

# Number of values so far, at most `period`, and their sum, or the average once there are `period`.
type SmoothingState = tuple[int, float]


class Smoothing:
    """
    Exponential average, seeded by the mean of its first `period` values.

    A value that is not usable resets the average: it starts again with the next value.

    Args:
        period: number of values of the seed.
        weight: weight of the newest value.
        skipped: number of values to skip before the seed.
    """

    def __init__(self, period: int, weight: float, *, skipped: int = 0) -> None:
        self._period = period
        self._weight = weight
        self._skipped = skipped
        self.start: SmoothingState = (-skipped, 0.0)

    @classmethod
    def exponential(cls, period: int, *, skipped: int = 0) -> "Smoothing":
        """Return the average of an EMA: the newest value has the weight 2 / (period + 1)."""
        return cls(period, 2.0 / (period + 1), skipped=skipped)

    @classmethod
    def wilder(cls, period: int) -> "Smoothing":
        """Return Wilder's average: the newest value has the weight 1 / period."""
        return cls(period, 1.0 / period)

    def step(self, state: SmoothingState, value: float) -> tuple[SmoothingState, float]:
        """Return the state after a value, and the average; NaN before the seed."""
        if not -LARGEST < value < LARGEST:
            return self.start, nan
        count, average = state
        if count == self._period:
            average += (value - average) * self._weight
            return (count, average), average
        count += 1
        if count < 1:
            return (count, average), nan
        average += value
        if count < self._period:
            return (count, average), nan
        average /= count
        return (count, average), average

    def over(self, values: Floats) -> Floats:
        """Return the average after each value."""
        averages = np.full(len(values), nan)
        needed = self._skipped + self._period
        for first, end in _runs((values > -LARGEST) & (values < LARGEST), needed):
            seeded = first + needed - 1
            run, shares = values[first:end], averages[seeded:end]
            np.multiply(values[seeded:end], self._weight, out=shares)
            shares[0] = sum(run[self._skipped : needed].tolist()) / self._period
            _add_decayed(shares, 1.0 - self._weight)
        return averages


def _runs(usable: npt.NDArray[np.bool_], needed: int) -> list[list[int]]:
    """Return start and end of all runs of usable values that are long enough."""
    edges = np.diff(usable, prepend=False, append=False)
    runs = np.flatnonzero(edges).reshape(-1, 2)
    long_enough: list[list[int]] = runs[runs[:, 1] - runs[:, 0] >= needed].tolist()
    return long_enough


def _add_decayed(values: Floats, decay: float) -> None:
    """
    Add to each value, in place, `decay` times the result before it.

    Each pass doubles how many values a sum covers, until older ones no longer have any weight.
    """
    decayed = np.empty_like(values)
    covered = 1
    while covered < len(values) and (weight := decay**covered) > TINY:
        np.multiply(values[:-covered], weight, out=decayed[covered:])
        values[covered:] += decayed[covered:]
        covered *= 2
