"""Which periods and which numbers an indicator takes."""

import sys
from math import nan

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Nothing within these overflows when it is squared and summed, nor loses digits when it decays.
LARGEST = 1e150
TINY = sys.float_info.min / sys.float_info.epsilon


def validate_period(period: int, name: str = "period") -> int:
    """Return a period; ValueError when it is no whole number of bars."""
    if not (period >= 1 and period % 1 == 0):
        message = f"{name} is a whole number of bars, at least 1, not {period}"
        raise ValueError(message)
    return int(period)


def usable(value: float) -> float:
    """Return a number that can be computed with; NaN for others."""
    return value if -LARGEST < value < LARGEST else nan


def usable_values(values: Floats) -> Floats:
    """Return the numbers that can be computed with; NaN in place of others."""
    if len(values) and values.min() > -LARGEST and values.max() < LARGEST:
        return values
    return np.where(np.abs(values) < LARGEST, values, nan)
