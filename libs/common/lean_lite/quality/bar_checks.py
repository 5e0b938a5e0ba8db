"""Vectorised checks of single trade bars."""

import numpy as np

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.model.timestamps import HOUR_S
from lean_lite.quality.checks import Check
from lean_lite.quality.predicates import check_timeliness, not_finite, ohlc_inconsistent

PRICES = ("open", "high", "low", "close")
# Largest ratio of high to low, fixed because a single record has no statistics (decision 0007):
# one of 11,029 recorded bars exceeds it, the one with a 7:1 split.
RANGE_MAX = 1.5
LONG_RANGE_MAX = 3.0


def check_bars(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return which rows fail which check, each row on its own.

    The checks of zero volume and of trade count against volume are for equities only: Alpaca sends
    crypto minutes without trades as bars of volume 0 made from quotes, crypto volume is a fraction,
    and forex often has none.
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
    """Return the rows that check B06 compares with the previous close: flat, without volume."""
    first = block["open"]
    same = [block[name] == first for name in PRICES[1:]]
    flat: Mask = np.logical_and.reduce([*same, block["volume"] == 0])
    return flat
