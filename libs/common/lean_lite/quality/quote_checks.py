"""Vectorised checks of single quote bars."""

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.blocks.schema import QUOTE
from lean_lite.quality.checks import Check
from lean_lite.quality.predicates import check_timeliness, not_finite, ohlc_inconsistent

SIDES = ("bid", "ask")
SIZES = tuple(f"{side}_size" for side in SIDES)
PRICES = tuple(name for name in QUOTE.values if name not in SIZES)
# Shares of the mid price.
CROSSED_MAX = 0.01
SPREAD_MAX = 0.1


def check_quotes(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return which rows fail which check, each row on its own.

    A side whose prices are all 0 is empty, as before the open. Bid and ask are compared at the end
    of the bar.
    """
    bid, ask = block["bid_close"], block["ask_close"]
    quoted = {side: np.logical_or.reduce(_prices(block, side)) != 0 for side in SIDES}
    both = (bid > 0) & (ask > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        spread, mid = ask - bid, mid_price(block)
        return {
            Check.B01_SCHEMA: not_finite(block, tuple(QUOTE.values)),
            Check.B02_OHLC: np.logical_or.reduce(
                [quoted[s] & ohlc_inconsistent(_prices(block, s), asset_class) for s in SIDES]
            ),
            Check.B03_PRICE: np.logical_or.reduce([block[name] < 0 for name in PRICES]),
            Check.B04_VOLUME: np.logical_or.reduce([block[name] < 0 for name in SIZES]),
            Check.Q01_ONE_SIDED: (bid == 0) | (ask == 0),
            Check.Q02_CROSSED: both & (-spread > CROSSED_MAX * mid),
            Check.Q02_OVERLAPPING: both & (spread < 0) & (-spread <= CROSSED_MAX * mid),
            Check.Q02_LOCKED: both & (spread == 0),
            Check.Q03_WIDE: both & (spread > SPREAD_MAX * mid),
            Check.Q06_SIZE: ((bid > 0) & (block["bid_size"] == 0))
            | ((ask > 0) & (block["ask_size"] == 0)),
            **check_timeliness(block, asset_class),
        }


def mid_price(block: Block) -> npt.NDArray[np.float64]:
    """Return the mid price at the end of each bar; the price of the only side if one is empty."""
    bid, ask = block["bid_close"], block["ask_close"]
    halves = bid / 2 + ask / 2  # the sum might overflow
    mid: npt.NDArray[np.float64] = np.where((bid > 0) & (ask > 0), halves, np.maximum(bid, ask))
    return mid


def _prices(block: Block, side: str) -> list[npt.NDArray[np.float64]]:
    return [block[name] for name in PRICES if name.startswith(side)]
