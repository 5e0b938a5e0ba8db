"""The checks that need one bar only, each as one expression over columns."""

import numpy as np

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.model.timestamps import HOUR_S
from lean_lite.quality.checks import Check
from lean_lite.quality.predicates import check_timeliness, not_finite, ohlc_inconsistent

PRICES = ("open", "high", "low", "close")
# The highest price of a bar, in terms of its lowest one.
RANGE_MAX = 1.5
LONG_RANGE_MAX = 3.0


def check_bars(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return which rows fail which check, judging every row by itself.

    Crypto minutes without trades come as bars of volume 0 made of quotes, and crypto volume is a
    fraction; forex often has none: the checks of zero volume and of count against volume are for
    equities only.
    """
    prices = [block[name] for name in PRICES]
    _, high, low, _ = prices
    is_long = block.resolution.seconds > HOUR_S
    hits = {
        Check.B01_SCHEMA: not_finite(block, (*PRICES, "volume")) | np.isinf(block["vwap"]),
        Check.B02_OHLC: ohlc_inconsistent(prices, asset_class),
        Check.B03_PRICE: np.logical_or.reduce([price <= 0 for price in prices]),
        Check.B04_VOLUME: (block["volume"] < 0) | (block["trade_count"] < -1),
        Check.B14_RANGE: (low > 0) & (high / (LONG_RANGE_MAX if is_long else RANGE_MAX) > low),
        **check_timeliness(block, asset_class),
    }
    if asset_class == "equity":
        counts = block["trade_count"]
        hits[Check.B04_COUNT] = (counts >= 0) & (counts > block["volume"])
        hits[Check.B05_ZERO_VOLUME] = block["volume"] == 0
    return hits


def flat_without_volume(block: Block) -> Mask:
    """Return the rows that only their predecessor can tell from a spike (check B06)."""
    first = block["open"]
    same = [block[name] == first for name in PRICES[1:]]
    spike: Mask = np.logical_and.reduce([*same, block["volume"] == 0])
    return spike
