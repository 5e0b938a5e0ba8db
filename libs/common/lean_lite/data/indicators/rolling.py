"""The mean and the variance of the last values, without a sum that drifts."""

from itertools import accumulate
from math import nan

import numpy as np

from lean_lite.data.indicators.numeric import Floats, usable, usable_values

# Values of the block, how many of them count, what its window has of the block before (sums and
# squares, by place), and the sum and the squares of the block itself.
type RollingState = tuple[list[float], int, list[float], list[float], float, float]

STRIP = 512  # blocks at a time, so that what is made of them stays in the processor's cache


class RollingMoments:
    """
    Follow the mean and the population variance of the last `period` values.

    Values stand in blocks of `period`; a window is the end of one block and the beginning of the
    next. Sums of the ends are made once per block, those of the beginnings grow by one value at a
    time, and nothing is ever subtracted from a sum. All are sums of distances from the first
    value of the later block, which is in every window that ends there: so the variance keeps its
    digits, and no value is felt once it has left. Before the first value stands a block of NaN.
    """

    def __init__(self, period: int) -> None:
        """Take the number of values."""
        self._period = period
        self.start: RollingState = ([nan] * period, period, [], [], 0.0, 0.0)

    def step(self, pane: RollingState, value: float) -> tuple[RollingState, float, float]:
        """
        Return the state after a value, the mean and the variance.

        A state may step again, until the one that it has returned does.
        """
        value = usable(value)
        block, place, sums, squares, total, square = pane
        if place == self._period:
            sums, squares = _ends(block, value)
            block, place, total, square = [], 0, 0.0, 0.0
        else:
            del block[place:]
        block.append(value)
        anchor = block[0]
        distance = value - anchor
        total += distance
        square += distance * distance
        mean = (total + sums[place]) / self._period
        variance = (square + squares[place]) / self._period - mean * mean
        pane = (block, place + 1, sums, squares, total, square)
        return pane, anchor + mean, max(variance, 0.0)

    def over(self, values: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance after each value: exactly the numbers of `step`."""
        length, period = len(values), self._period
        count = -(-length // period)
        blocks = np.full((count + 1, period), nan)
        blocks.reshape(-1)[period : period + length] = usable_values(values)
        mean, variance = np.empty((2, count, period))
        for first in range(0, count, STRIP):
            strip = slice(first, first + STRIP)
            mean[strip].T[:], variance[strip].T[:] = self._moments(blocks[first:][: STRIP + 1].T)
        return mean.reshape(-1)[:length], variance.reshape(-1)[:length]

    def _moments(self, places: Floats) -> tuple[Floats, Floats]:
        """
        Return mean and variance of a strip of blocks but the first, one row for each place.

        What is done once per place is done for all blocks.
        """
        places = places.copy()
        anchors = places[0, 1:]
        begun, ended = places[:, 1:] - anchors, places[:, :-1] - anchors
        squares = _sums(begun * begun, ended * ended)
        mean = _sums(begun, ended) / self._period
        return anchors + mean, np.maximum(squares / self._period - mean * mean, 0.0)


def _ends(block: list[float], anchor: float) -> tuple[list[float], list[float]]:
    """Return, for each place, the sums of what comes after it in a block."""
    distances = [value - anchor for value in block[:0:-1]]
    sums = accumulate(distances, initial=0.0)
    squares = accumulate((distance * distance for distance in distances), initial=0.0)
    return list(sums)[::-1], list(squares)[::-1]


def _sums(begun: Floats, ended: Floats) -> Floats:
    """Add, in place, up to each row of one and what comes after that row in the other."""
    _add_up(begun)
    _add_up(ended[::-1])
    begun[:-1] += ended[1:]
    return begun


def _add_up(rows: Floats) -> None:
    """Do what cumsum does along the first axis, but row by row, which is several times faster."""
    for place in range(1, len(rows)):
        rows[place] += rows[place - 1]
