"""What all indicators have in common: one symbol, order, and versions of a bar."""

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
    Compute one or more lines from the bars of one symbol and one resolution.

    A subclass says what a bar makes of what is known before it (`step`), and the same for columns
    (`lines`). What is known before the last bar is kept, so that another version of that bar steps
    from there.
    """

    def __init__(self, start: State) -> None:
        """Take what is known before any bar."""
        self.start = start
        self._before = start
        self._now = start
        self._last: TradeBar | None = None

    @abstractmethod
    def step(self, state: State, bar: TradeBar) -> tuple[State, tuple[float, ...]]:
        """Return what is known after a bar, and the value of every line."""

    @abstractmethod
    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return every line over bars of one symbol, each later than the one before it."""

    def _update(self, bar: TradeBar) -> tuple[float, ...]:
        """Take the next bar, or another version of the last one."""
        if self._follows(bar):
            self._before = self._now
        self._now, values = self.step(self._before, bar)
        self._last = bar
        return values

    def _over(self, bars: Sequence[TradeBar]) -> tuple[Floats, ...]:
        """Return the lines over any bars of one symbol, one value for each of them."""
        block = Bars.of(bars).block
        block.require_one_symbol()
        with np.errstate(over="ignore", invalid="ignore"):
            if _is_plain(block):
                return self.lines(block)
            rows, places = _versions(block)
            lines = self.lines(block.take(rows))
        return tuple(np.append(line, nan)[places] for line in lines)

    def _follows(self, bar: TradeBar) -> bool:
        """Tell whether a bar is later than the last one; ValueError when it can not be taken."""
        last = self._last
        if last is None:
            return True
        if bar.symbol != last.symbol or bar.resolution != last.resolution:
            message = (
                f"this indicator follows {last.resolution.value} bars of {last.symbol}, "
                f"not {bar.resolution.value} bars of {bar.symbol}: make one for each series"
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
    """Compute one line."""

    def update(self, bar: TradeBar) -> float:
        """Take the next bar, or another version of the last one; return the value now."""
        return self._update(bar)[0]

    def over(self, bars: Sequence[TradeBar]) -> Floats:
        """Return the value at each bar of history; what `update` knows stays as it is."""
        return self._over(bars)[0]


def _is_plain(block: Block) -> bool:
    """Tell whether every row is valid and later than the one before it."""
    starts = block["start_ns"]
    levels = block.columns.get("level")
    return bool((starts[1:] > starts[:-1]).all() and (levels is None or levels.all()))


def _versions(block: Block) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows that count, in order of start, and where in them each row finds its own."""
    levels = block.columns.get("level")
    valid = np.flatnonzero(np.ones(len(block)) if levels is None else levels)
    starts, inverse = np.unique(block["start_ns"][valid], return_inverse=True)
    rows = np.empty(len(starts), np.intp)
    rows[inverse] = valid  # of several versions the last one stays
    places = np.full(len(block), -1)
    places[valid] = inverse
    return rows, places
