"""Predicates that the checks of bars and of quotes share."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.block import Column, Mask
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model.timestamps import DAY_S, SECOND_NS
from lean_lite.quality.checks import Check

SKEW_NS = 2 * SECOND_NS  # tolerated difference between the clocks of feed and receiver
STEP_MAX = 0.5  # largest move from one record to the next, as a share of the previous price


def check_timeliness(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return the rows that were received before they can have started, or ended.

    Bars of whole days of an equity end with their last extended trading, not at midnight.
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
    """Return whether trading has ended in days that start at a time; False if none start there."""
    trading = days.trading(start_ns, extended=True) if days.start(start_ns) == start_ns else None
    return trading is not None and trading[1] <= at_ns


def not_finite(block: Block, names: tuple[str, ...]) -> Mask:
    """Return the rows where one of these columns is NaN or infinite."""
    finite: Mask = np.logical_and.reduce([np.isfinite(block[name]) for name in names])
    return ~finite


def ohlc_inconsistent(prices: Sequence[Column], asset_class: str) -> Mask:
    """
    Return where high or low contradicts the other prices by more than half a tick.

    `prices` are open, high, low and close.
    """
    opened, high, low, close = prices
    tolerance = _half_tick(close, asset_class)
    top = np.maximum(np.maximum(opened, close), low)
    bottom = np.minimum(np.minimum(opened, close), high)
    with np.errstate(invalid="ignore"):  # the tolerance of an infinite close is infinite
        inconsistent: Mask = (high < top - tolerance) | (low > bottom + tolerance)
    return inconsistent


def is_price_step(price: float, before: float) -> bool:
    """Return whether a price is too far from the previous one (check S08)."""
    return before > 0 and abs(price - before) > STEP_MAX * before


def _half_tick(price: Column, asset_class: str) -> npt.NDArray[np.float64]:
    """Return half the price increment of SEC Rule 612; for other asset classes a rounding error."""
    if asset_class != "equity":
        rounding: npt.NDArray[np.float64] = np.abs(price) * 1e-9
        return rounding
    return np.where(price >= 1.0, 0.005, 0.00005)
