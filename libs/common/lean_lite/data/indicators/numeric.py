"""Checks of periods and of numbers that an indicator can compute with."""

import sys
from math import nan

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Values below LARGEST can be squared and summed without overflow, and those above TINY scaled down
# without losing digits to denormal numbers.
LARGEST = 1e150
TINY = sys.float_info.min / sys.float_info.epsilon


def validate_period(period: int, name: str = "period") -> int:
    """Return a period as int; ValueError if it is not a whole number of 1 or more."""
    if not (period >= 1 and period % 1 == 0):
        message = f"{name} must be a whole number of bars, 1 or more, not {period}"
        raise ValueError(message)
    return int(period)


def usable(value: float) -> float:
    """Return a number that can be computed with, or NaN."""
    return value if -LARGEST < value < LARGEST else nan


def usable_values(values: Floats) -> Floats:
    """Return the numbers, with NaN in place of those that can't be computed with."""
    if len(values) and values.min() > -LARGEST and values.max() < LARGEST:
        return values
    return np.where(np.abs(values) < LARGEST, values, nan)
