"""Min-max, z-score and log scaling of bars."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Method = Literal["minmax", "zscore", "log"]
Matrix = npt.NDArray[np.float64]

PRICES, VOLUME = slice(0, 4), slice(4, 5)


def normalize(values: Matrix, method: Method, *, jointly: bool) -> Matrix:
    """
    Scale a matrix of shape (n, 5): open, high, low, close, volume.

    See `DataTransformer.normalize_data`.
    """
    if method not in get_args(Method):
        message = f"invalid method {method!r}: use {', '.join(get_args(Method))}"
        raise ValueError(message)
    if not len(values):
        return values
    if method == "log":
        return _logarithm(values)
    scaling = _minmax if method == "minmax" else _zscore
    groups = (PRICES, VOLUME) if jointly else [slice(at, at + 1) for at in range(VOLUME.stop)]
    return np.hstack([_scale(values[:, columns], scaling) for columns in groups])


def _scale(columns: Matrix, scaling: Callable[[Matrix], Matrix]) -> Matrix:
    """Scale columns together; constant ones become 0."""
    return scaling(columns) if np.ptp(columns) else np.zeros_like(columns)


def _minmax(columns: Matrix) -> Matrix:
    scaled: Matrix = (columns - columns.min()) / np.ptp(columns)
    return scaled


def _zscore(columns: Matrix) -> Matrix:
    scaled: Matrix = (columns - columns.mean()) / columns.std()
    return scaled


def _logarithm(values: Matrix) -> Matrix:
    if (values[:, PRICES] <= 0).any() or (values[:, VOLUME] < 0).any():
        message = "log needs prices above 0 and volumes of 0 or more: leave out the other bars"
        raise ValueError(message)
    return np.hstack([np.log(values[:, PRICES]), np.log1p(values[:, VOLUME])])
