"""What rules of bars and of quotes measure in the same way."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.block import Column, Mask
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model.timestamps import DAY_S, SECOND_NS
from lean_lite.quality.checks import Check

SKEW_NS = 2 * SECOND_NS
# A price further from the one before than this share of it is a step.
STEP_MAX = 0.5


def check_timeliness(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return the rows that came before they can have started, or ended.

    Whole days of an equity have ended with the last extended trading in them.
    """
    latest_ns = block["received_ns"] + SKEW_NS
    future, early = block["start_ns"] > latest_ns, block.end_ns > latest_ns
    length_s = block.resolution.seconds
    if asset_class == "equity" and length_s >= DAY_S:
        days = TimeBuckets(asset_class, length_s)
        for row in np.flatnonzero(early & ~future).tolist():
            early[row] = not _is_over(days, int(block["start_ns"][row]), int(latest_ns[row]))
    return {Check.B10_FUTURE: future, Check.B10_EARLY: early}


def _is_over(days: TimeBuckets, start_ns: int, at_ns: int) -> bool:
    """Tell whether trading of a day is over; of a start that begins no trading day it is not."""
    trading = days.trading(start_ns, extended=True) if days.start(start_ns) == start_ns else None
    return trading is not None and trading[1] <= at_ns


def not_finite(block: Block, names: tuple[str, ...]) -> Mask:
    """Return the rows of which one of these columns is no finite number."""
    readable: Mask = np.logical_and.reduce([np.isfinite(block[name]) for name in names])
    return ~readable


def ohlc_inconsistent(prices: Sequence[Column], asset_class: str) -> Mask:
    """
    Return where high and low are not the highest and lowest, by more than half a tick.

    `prices` are open, high, low and close.
    """
    opened, high, low, close = prices
    slack = _half_tick(close, asset_class)
    top = np.maximum(np.maximum(opened, close), low)
    bottom = np.minimum(np.minimum(opened, close), high)
    with np.errstate(invalid="ignore"):  # an infinite close has an infinite slack
        wrong: Mask = (high < top - slack) | (low > bottom + slack)
    return wrong


def is_price_step(price: float, before: float) -> bool:
    """Tell whether a price is too far from the one before it."""
    return before > 0 and abs(price - before) > STEP_MAX * before


def _half_tick(price: Column, asset_class: str) -> npt.NDArray[np.float64]:
    """Return half the price increment of SEC Rule 612; a sliver where there is no grid."""
    if asset_class != "equity":
        sliver: npt.NDArray[np.float64] = np.abs(price) * 1e-9
        return sliver
    return np.where(price >= 1.0, 0.005, 0.00005)
