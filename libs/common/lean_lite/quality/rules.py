"""
The checks that need one record only, each as one expression over columns.

Their numbers, names and severities are public: a hit sets the bit of its check in `reasons`.
"""

from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lean_lite.algorithm.data_models import NS_PER_S, DataQualityLevel
from lean_lite.blocks import Block

RULES_VERSION = 1
SKEW_NS = 2 * NS_PER_S

Mask = npt.NDArray[np.bool_]


class Check(IntEnum):
    """Name a check by its bit in `reasons`."""

    B01_SCHEMA = 0
    B02_OHLC = 1
    B03_PRICE = 2
    B04_VOLUME = 3
    B04_COUNT = 4
    B05_ZERO_VOLUME = 5
    B06_FLAT_SPIKE = 6
    B10_FUTURE = 7
    B10_EARLY = 8
    S01_REPEATED = 9

    @property
    def mask(self) -> int:
        """Return the bit."""
        return 1 << self.value


LEVELS = MappingProxyType(
    {
        Check.B01_SCHEMA: DataQualityLevel.INVALID,
        Check.B02_OHLC: DataQualityLevel.INVALID,
        Check.B03_PRICE: DataQualityLevel.INVALID,
        Check.B04_VOLUME: DataQualityLevel.INVALID,
        Check.B04_COUNT: DataQualityLevel.POOR,
        Check.B05_ZERO_VOLUME: DataQualityLevel.POOR,
        Check.B06_FLAT_SPIKE: DataQualityLevel.POOR,
        Check.B10_FUTURE: DataQualityLevel.INVALID,
        Check.B10_EARLY: DataQualityLevel.POOR,
    }
)
PRICES = ("open", "high", "low", "close")


def checks_of(reasons: int) -> list[Check]:
    """Return the checks whose bits are set."""
    return [check for check in Check if reasons & check.mask]


def judge_records(block: Block, asset_class: str) -> dict[Check, Mask]:
    """
    Return which rows fail which check, judging every row by itself.

    Crypto minutes without trades come as bars of volume 0 made of quotes, and crypto volume is a
    fraction; forex often has none: the checks of zero volume and of count against volume are for
    equities only.
    """
    hits = {
        Check.B01_SCHEMA: _unreadable(block),
        Check.B02_OHLC: _inconsistent(block, asset_class),
        Check.B03_PRICE: np.logical_or.reduce([block[name] <= 0 for name in PRICES]),
        Check.B04_VOLUME: (block["volume"] < 0) | (block["trade_count"] < -1),
        Check.B10_FUTURE: block["start_ns"] > block["received_ns"] + SKEW_NS,
        Check.B10_EARLY: block.end_ns > block["received_ns"] + SKEW_NS,
    }
    if asset_class == "equity":
        hits[Check.B04_COUNT] = block["trade_count"] > block["volume"]
        hits[Check.B05_ZERO_VOLUME] = block["volume"] == 0
    return hits


def flat_without_volume(block: Block) -> Mask:
    """Return the rows that only their predecessor can tell from a spike (check B06)."""
    first = block["open"]
    same = [block[name] == first for name in PRICES[1:]]
    spike: Mask = np.logical_and.reduce([*same, block["volume"] == 0])
    return spike


def _unreadable(block: Block) -> Mask:
    numbers = [np.isfinite(block[name]) for name in (*PRICES, "volume")]
    readable: Mask = np.logical_and.reduce(numbers)
    return ~readable | np.isinf(block["vwap"])


def _inconsistent(block: Block, asset_class: str) -> Mask:
    opened, high, low, close = (block[name] for name in PRICES)
    slack = _half_tick(close, asset_class)
    top = np.maximum(np.maximum(opened, close), low)
    bottom = np.minimum(np.minimum(opened, close), high)
    with np.errstate(invalid="ignore"):  # an infinite close has an infinite slack
        inconsistent: Mask = (high < top - slack) | (low > bottom + slack)
    return inconsistent


def _half_tick(price: npt.NDArray[np.float64], asset_class: str) -> npt.NDArray[np.float64]:
    """Return half the price increment of SEC Rule 612; a sliver where there is no grid."""
    if asset_class != "equity":
        return np.abs(price) * 1e-9
    return np.where(price >= 1.0, 0.005, 0.00005)
