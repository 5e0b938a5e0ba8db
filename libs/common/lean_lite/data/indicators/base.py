"""Base classes of indicators: one symbol, bars in order, corrections of the last bar."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import nan

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.data.bars import Bars
from lean_lite.data.indicators.numeric import Floats
from lean_lite.model import TradeBar


class Indicator[State](ABC):
    """
    One or more lines computed from the bars of one symbol and one resolution.

    A subclass implements `step`, from one state to the next by one bar, and `lines`, the same for
    the columns of a block. The state before the last bar is stored, so that a correction of that
    bar steps from there.

    Args:
        start: state before the first bar.
    """

    def __init__(self, start: State) -> None:
        self.start = start
        self._previous = start
        self._current = start
        self._last: TradeBar | None = None

    @abstractmethod
    def step(self, state: State, bar: TradeBar) -> tuple[State, tuple[float, ...]]:
        """
        Return the state after a bar, and the value of each line.

        Args:
            state: state before the bar. For a correction, `step` is called with it again.
            bar: the next bar.

        Returns:
            The state after the bar, and one value per line; NaN during the warm-up.
        """

    @abstractmethod
    def lines(self, block: Block) -> tuple[Floats, ...]:
        """
        Return each line over the columns of a block: the values that `step` returns bar by bar.

        Args:
            block: n valid bars of one symbol, in order of start, each start once.

        Returns:
            One array of shape (n,) per line.
        """

    def _update(self, bar: TradeBar) -> tuple[float, ...]:
        """Add the next bar, or a correction of the last one; return the value of each line."""
        if self._is_next(bar):
            self._previous = self._current
        self._current, values = self.step(self._previous, bar)
        self._last = bar
        return values

    def _over(self, bars: Sequence[TradeBar]) -> tuple[Floats, ...]:
        """Return the lines over any bars of one symbol, one value per bar."""
        block = Bars.of(bars).block
        block.require_one_symbol()
        with np.errstate(over="ignore", invalid="ignore"):
            if _is_ordered(block):
                return self.lines(block)
            rows, positions = _latest_versions(block)
            lines = self.lines(block.take(rows))
        return tuple(np.append(line, nan)[positions] for line in lines)

    def _is_next(self, bar: TradeBar) -> bool:
        """Return whether a bar is later than the last one; ValueError if it can't be added."""
        last = self._last
        if last is None:
            return True
        if bar.symbol != last.symbol or bar.resolution != last.resolution:
            message = (
                f"this indicator has {last.resolution.value} bars of {last.symbol}, "
                f"not {bar.resolution.value} bars of {bar.symbol}: use one for each symbol and "
                "resolution"
            )
            raise ValueError(message)
        if bar.timestamp < last.timestamp:
            message = (
                f"the bar of {bar.timestamp} is older than the last one, of {last.timestamp}: "
                "compute again with `over`"
            )
            raise ValueError(message)
        return bar.timestamp > last.timestamp


class Line[State](Indicator[State]):
    """Indicator with one line."""

    def update(self, bar: TradeBar) -> float:
        """
        Add the next bar, or a correction of the last one.

        Args:
            bar: bar of the same symbol and resolution as before, not older than the last one.

        Returns:
            The current value; NaN during the warm-up.

        Raises:
            ValueError: the bar is older than the last one, or of another symbol or resolution.
        """
        return self._update(bar)[0]

    def over(self, bars: Sequence[TradeBar]) -> Floats:
        """
        Compute the indicator over history, without changing the state of `update`.

        Args:
            bars: bars of one symbol and one resolution.

        Returns:
            float64 array of shape (n,), the value at each bar.

        Raises:
            ValueError: the bars are of several symbols or resolutions.
        """
        return self._over(bars)[0]


def _is_ordered(block: Block) -> bool:
    """Return whether each row is valid and later than the one before it."""
    starts = block["start_ns"]
    levels = block.columns.get("level")
    return bool((starts[1:] > starts[:-1]).all() and (levels is None or levels.all()))


def _latest_versions(block: Block) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the last valid row of each start, in order, and the position of each row in them."""
    levels = block.columns.get("level")
    valid = np.flatnonzero(np.ones(len(block)) if levels is None else levels)
    starts, inverse = np.unique(block["start_ns"][valid], return_inverse=True)
    rows = np.empty(len(starts), np.intp)
    rows[inverse] = valid  # of several rows with one start the last one stays
    positions = np.full(len(block), -1)
    positions[valid] = inverse
    return rows, positions
