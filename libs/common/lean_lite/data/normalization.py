"""Bars on a common scale."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Method = Literal["minmax", "zscore", "log"]
Values = npt.NDArray[np.float64]

PRICES, VOLUME = slice(0, 4), slice(4, 5)


def normalize(values: Values, method: Method, *, jointly: bool) -> Values:
    """
    Return the normalised columns of open, high, low, close and volume: shape (n, 5).

    See `DataTransformer.normalize_data`.
    """
    if method not in get_args(Method):
        message = f"{method!r} is no way to normalise: use {', '.join(get_args(Method))}"
        raise ValueError(message)
    if not len(values):
        return values
    if method == "log":
        return _logarithm(values)
    scaled = _minmax if method == "minmax" else _zscore
    parts = (PRICES, VOLUME) if jointly else [slice(at, at + 1) for at in range(VOLUME.stop)]
    return np.hstack([_scale(values[:, part], scaled) for part in parts])


def _scale(part: Values, scaled: Callable[[Values], Values]) -> Values:
    """Return what a scale makes of columns; what is constant has none, and becomes 0."""
    return scaled(part) if np.ptp(part) else np.zeros_like(part)


def _minmax(part: Values) -> Values:
    scaled: Values = (part - part.min()) / np.ptp(part)
    return scaled


def _zscore(part: Values) -> Values:
    scaled: Values = (part - part.mean()) / part.std()
    return scaled


def _logarithm(values: Values) -> Values:
    if (values[:, PRICES] <= 0).any() or (values[:, VOLUME] < 0).any():
        message = "only prices above 0 and volumes of 0 or more have a logarithm: leave others out"
        raise ValueError(message)
    return np.hstack([np.log(values[:, PRICES]), np.log1p(values[:, VOLUME])])
