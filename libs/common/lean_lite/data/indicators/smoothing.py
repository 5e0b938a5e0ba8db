"""The exponential average: of all values, the older the less."""

from math import nan

import numpy as np
import numpy.typing as npt

from lean_lite.data.indicators.numeric import LARGEST, TINY, Floats

# How many values there were, at most `period`, and their sum, or the average once it is there.
type Level = tuple[int, float]


class Smoothing:
    """
    Follow an exponential average whose seed is the plain mean of its first `period` values.

    `weight` is that of the newest value. The first `skipped` values count for nothing. A value
    that is no number ends the average, and the next one begins another.
    """

    def __init__(self, period: int, weight: float, *, skipped: int = 0) -> None:
        """Take how to begin and how much a new value weighs."""
        self._period = period
        self._weight = weight
        self._skipped = skipped
        self.start: Level = (-skipped, 0.0)

    @classmethod
    def exponential(cls, period: int, *, skipped: int = 0) -> "Smoothing":
        """Return the one in which a new value weighs 2 / (period + 1)."""
        return cls(period, 2.0 / (period + 1), skipped=skipped)

    @classmethod
    def wilder(cls, period: int) -> "Smoothing":
        """Return the one in which a new value weighs 1 / period, as Wilder has it."""
        return cls(period, 1.0 / period)

    def step(self, level: Level, value: float) -> tuple[Level, float]:
        """Return the state after a value, and the average; NaN while there is none."""
        if not -LARGEST < value < LARGEST:
            return self.start, nan
        count, average = level
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
    """Return the first place and the end of all runs that are long enough."""
    edges = np.diff(usable, prepend=False, append=False)
    runs = np.flatnonzero(edges).reshape(-1, 2)
    long_enough: list[list[int]] = runs[runs[:, 1] - runs[:, 0] >= needed].tolist()
    return long_enough


def _add_decayed(values: Floats, decay: float) -> None:
    """
    Add to each value, in place, `decay` times the sum before it.

    Every pass doubles how far back a sum reaches, until what is further away weighs nothing.
    """
    decayed = np.empty_like(values)
    reach = 1
    while reach < len(values) and (weight := decay**reach) > TINY:
        np.multiply(values[:-reach], weight, out=decayed[reach:])
        values[reach:] += decayed[reach:]
        reach *= 2
