"""
The checks: their names and bits, how bad it is to fail one, and what it says.

All of it is public: a failed check sets its bit in `reasons`, and a bit never changes its meaning.
"""

from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from lean_lite.model import DataQualityLevel

RULES_VERSION = 3


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
    B14_RANGE = 10
    S08_STEP = 11
    Q01_ONE_SIDED = 12
    Q02_CROSSED = 13
    Q02_OVERLAPPING = 14
    Q02_LOCKED = 15
    Q03_WIDE = 16
    Q06_SIZE = 17

    @property
    def mask(self) -> int:
        """Return the bit."""
        return 1 << self.value

    @property
    def text(self) -> str:
        """Return what a failed check says of its record."""
        return TEXTS[self]


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
        Check.B14_RANGE: DataQualityLevel.POOR,
        Check.S08_STEP: DataQualityLevel.POOR,
        Check.Q01_ONE_SIDED: DataQualityLevel.FAIR,
        Check.Q02_CROSSED: DataQualityLevel.POOR,
        Check.Q02_OVERLAPPING: DataQualityLevel.FAIR,
        Check.Q02_LOCKED: DataQualityLevel.GOOD,
        Check.Q03_WIDE: DataQualityLevel.POOR,
        Check.Q06_SIZE: DataQualityLevel.GOOD,
    }
)

TEXTS = MappingProxyType(
    {
        Check.B01_SCHEMA: "a price, the volume or a size is no finite number",
        Check.B02_OHLC: "high or low contradicts open and close by more than half a tick",
        Check.B03_PRICE: "a price of a bar is zero or below, or one of a quote below zero",
        Check.B04_VOLUME: "volume, trade count or a size is below zero",
        Check.B04_COUNT: "more trades than volume",
        Check.B05_ZERO_VOLUME: "no volume",
        Check.B06_FLAT_SPIKE: "flat, without volume, away from the close before",
        Check.B10_FUTURE: "starts more than 2 s after its arrival",
        Check.B10_EARLY: "ends more than 2 s after its arrival",
        Check.S01_REPEATED: "the same values again",
        Check.B14_RANGE: "extreme range: high above 1.5 times low, 3 times beyond an hour",
        Check.S08_STEP: "extreme movement: more than 50 % away from the price before",
        Check.Q01_ONE_SIDED: "nobody bids, or nobody asks",
        Check.Q02_CROSSED: "the bid is above the ask by more than 1 % of the middle",
        Check.Q02_OVERLAPPING: "the bid is above the ask by 1 % of the middle or less",
        Check.Q02_LOCKED: "the bid is the ask",
        Check.Q03_WIDE: "a spread of more than 10 % of the middle",
        Check.Q06_SIZE: "a price without a size",
    }
)


def failed_checks(reasons: int) -> list[Check]:
    """Return the checks whose bits are set."""
    return [check for check in Check if reasons & check.mask]


@lru_cache(4_096)
def level_of(reasons: int) -> DataQualityLevel:
    """Return the grade of a record that failed these checks: that of the worst."""
    levels = (LEVELS[check] for check in failed_checks(reasons) if check in LEVELS)
    return min(levels, default=DataQualityLevel.EXCELLENT)
