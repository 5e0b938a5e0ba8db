"""Rolling mean and variance, of single values and of arrays, without drift."""

from itertools import accumulate
from math import nan

import numpy as np

from lean_lite.data.indicators.numeric import Floats, usable, usable_values

# Values of the current chunk, how many of them are used, the suffix sums of the previous chunk
# (of values and of squares), and sum and sum of squares of the current chunk.
type RollingState = tuple[list[float], int, list[float], list[float], float, float]

# Chunks per pass: their intermediate results fit into the processor's cache.
STRIP = 512


class RollingMoments:
    """
    Mean and population variance of the last `period` values.

    Values are split into chunks of `period`, so a window is the end of one chunk and the start of
    the next. The sums of the ends are computed once per chunk, those of the starts grow by one
    value at a time, and nothing is ever subtracted from a sum, so rounding errors do not
    accumulate. All sums are of distances from the first value of the later chunk, which is in
    every window that ends there: so the variance keeps its digits, and a value has no effect after
    it has left the window. A chunk of NaN precedes the first value.

    Args:
        period: number of values.
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self.start: RollingState = ([nan] * period, period, [], [], 0.0, 0.0)

    def step(self, state: RollingState, value: float) -> tuple[RollingState, float, float]:
        """
        Return the state after a value, the mean and the variance.

        For a correction, call it again with the same state, as long as the returned state has not
        been used for a step.
        """
        value = usable(value)
        chunk, position, sums, squares, total, square = state
        if position == self._period:
            sums, squares = _suffix_sums(chunk, value)
            chunk, position, total, square = [], 0, 0.0, 0.0
        else:
            del chunk[position:]
        chunk.append(value)
        anchor = chunk[0]
        distance = value - anchor
        total += distance
        square += distance * distance
        mean = (total + sums[position]) / self._period
        variance = (square + squares[position]) / self._period - mean * mean
        state = (chunk, position + 1, sums, squares, total, square)
        return state, anchor + mean, max(variance, 0.0)

    def over(self, values: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance after each value: exactly the numbers of `step`."""
        length, period = len(values), self._period
        count = -(-length // period)
        chunks = np.full((count + 1, period), nan)
        chunks.reshape(-1)[period : period + length] = usable_values(values)
        mean, variance = np.empty((2, count, period))
        for first in range(0, count, STRIP):
            strip = slice(first, first + STRIP)
            mean[strip].T[:], variance[strip].T[:] = self._moments(chunks[first:][: STRIP + 1].T)
        return mean.reshape(-1)[:length], variance.reshape(-1)[:length]

    def _moments(self, columns: Floats) -> tuple[Floats, Floats]:
        """
        Return mean and variance of all chunks but the first, one row per position in a chunk.

        Each chunk is a column, so that one operation handles a position of all chunks.
        """
        columns = columns.copy()
        anchors = columns[0, 1:]
        current, previous = columns[:, 1:] - anchors, columns[:, :-1] - anchors
        squares = _window_sums(current * current, previous * previous)
        mean = _window_sums(current, previous) / self._period
        return anchors + mean, np.maximum(squares / self._period - mean * mean, 0.0)


def _suffix_sums(chunk: list[float], anchor: float) -> tuple[list[float], list[float]]:
    """Return for each position the sums of distances and of squares of the values after it."""
    distances = [value - anchor for value in chunk[:0:-1]]
    sums = accumulate(distances, initial=0.0)
    squares = accumulate((distance * distance for distance in distances), initial=0.0)
    return list(sums)[::-1], list(squares)[::-1]


def _window_sums(current: Floats, previous: Floats) -> Floats:
    """Return, in place, the sums of the current rows up to each one and the previous after it."""
    _cumulate(current)
    _cumulate(previous[::-1])
    current[:-1] += previous[1:]
    return current


def _cumulate(rows: Floats) -> None:
    """Do in place what cumsum does along the first axis; row by row is several times faster."""
    for row in range(1, len(rows)):
        rows[row] += rows[row - 1]
