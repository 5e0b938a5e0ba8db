"""The checks that need one quote bar only, each as one expression over columns."""

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
# Shares of the middle between bid and ask.
CROSSED_MAX = 0.01
SPREAD_MAX = 0.1


def check_quotes(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return which rows fail which check, judging every row by itself.

    A side of which every price is 0 is empty, as at the open; bid and ask are compared as they
    stand at the end of the bar.
    """
    bid, ask = block["bid_close"], block["ask_close"]
    there = {side: np.logical_or.reduce(_prices(block, side)) != 0 for side in SIDES}
    both = (bid > 0) & (ask > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        spread, middle = ask - bid, mid_price(block)
        return {
            Check.B01_SCHEMA: not_finite(block, tuple(QUOTE.values)),
            Check.B02_OHLC: np.logical_or.reduce(
                [there[s] & ohlc_inconsistent(_prices(block, s), asset_class) for s in SIDES]
            ),
            Check.B03_PRICE: np.logical_or.reduce([block[name] < 0 for name in PRICES]),
            Check.B04_VOLUME: np.logical_or.reduce([block[name] < 0 for name in SIZES]),
            Check.Q01_ONE_SIDED: (bid == 0) | (ask == 0),
            Check.Q02_CROSSED: both & (-spread > CROSSED_MAX * middle),
            Check.Q02_OVERLAPPING: both & (spread < 0) & (-spread <= CROSSED_MAX * middle),
            Check.Q02_LOCKED: both & (spread == 0),
            Check.Q03_WIDE: both & (spread > SPREAD_MAX * middle),
            Check.Q06_SIZE: ((bid > 0) & (block["bid_size"] == 0))
            | ((ask > 0) & (block["ask_size"] == 0)),
            **check_timeliness(block, asset_class),
        }


def mid_price(block: Block) -> npt.NDArray[np.float64]:
    """Return the price halfway between bid and ask at the end of each bar, or the only side's."""
    bid, ask = block["bid_close"], block["ask_close"]
    halves = bid / 2 + ask / 2
    middle: npt.NDArray[np.float64] = np.where((bid > 0) & (ask > 0), halves, np.maximum(bid, ask))
    return middle


def _prices(block: Block, side: str) -> list[npt.NDArray[np.float64]]:
    return [block[name] for name in PRICES if name.startswith(side)]
