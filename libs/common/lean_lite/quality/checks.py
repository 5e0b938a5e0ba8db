"""
Every check on one line: its bit, its level and its text.

All of it is public: a failed check sets its bit in `reasons`, and a bit never changes its meaning.
`make checks-table` writes the table of docs/messages.md from it.
"""

from enum import IntEnum
from functools import lru_cache
from typing import Self

from lean_lite.blocks.schema import REPEAT_BIT
from lean_lite.model import DataQualityLevel as Level

# Recorded with each graded frame; raised with every change of what a check finds.
RULES_VERSION = 3


class Check(IntEnum):
    """
    A check of one record; the value is its bit in `reasons`.

    B checks concern a bar (some also a quote), S checks a series, Q checks a quote.

    Attributes:
        level: grade of a record that fails the check; None marks a repeat, which is dropped.
        text: what is wrong with a record that fails the check.
    """

    B01_SCHEMA = 0, Level.INVALID, "a price, the volume or a size is not a finite number"
    B02_OHLC = 1, Level.INVALID, "high or low contradicts open and close by more than half a tick"
    B03_PRICE = 2, Level.INVALID, "a price is negative, or that of a bar is zero"
    B04_VOLUME = 3, Level.INVALID, "volume, trade count or a size is negative"
    B04_COUNT = 4, Level.POOR, "more trades than volume"
    B05_ZERO_VOLUME = 5, Level.POOR, "no volume"
    B06_FLAT_SPIKE = 6, Level.POOR, "flat without volume, away from the previous close"
    B10_FUTURE = 7, Level.INVALID, "starts more than 2 s after it was received"
    B10_EARLY = 8, Level.POOR, "ends more than 2 s after it was received"
    S01_REPEATED = REPEAT_BIT, None, "repeats the values of its previous version"
    B14_RANGE = 10, Level.POOR, "extreme range: high over 1.5 times low, 3 times beyond an hour"
    S08_STEP = 11, Level.POOR, "extreme movement: more than 50 % away from the previous price"
    Q01_ONE_SIDED = 12, Level.FAIR, "one-sided: no bid or no ask"
    Q02_CROSSED = 13, Level.POOR, "crossed: bid over ask by more than 1 % of the mid price"
    Q02_OVERLAPPING = 14, Level.FAIR, "crossed: bid over ask by at most 1 % of the mid price"
    Q02_LOCKED = 15, Level.GOOD, "locked: bid equals ask"
    Q03_WIDE = 16, Level.POOR, "spread over 10 % of the mid price"
    Q06_SIZE = 17, Level.GOOD, "a price without a size"

    level: Level | None
    text: str

    def __new__(cls, bit: int, level: Level | None, text: str) -> Self:
        """Make the member of a declaration."""
        check = int.__new__(cls, bit)
        check._value_ = bit
        check.level = level
        check.text = text
        return check

    @property
    def mask(self) -> int:
        """The bit as a mask of `reasons`."""
        return 1 << self.value


def failed_checks(reasons: int) -> list[Check]:
    """Return the checks whose bits are set, in order of bit."""
    return [check for check in Check if reasons & check.mask]


@lru_cache(4_096)
def level_of(reasons: int) -> Level:
    """Return the worst level of the failed checks; EXCELLENT if none lowers it."""
    levels = (check.level for check in failed_checks(reasons) if check.level is not None)
    return min(levels, default=Level.EXCELLENT)
