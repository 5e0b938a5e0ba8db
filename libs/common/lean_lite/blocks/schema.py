"""Columns of each kind of record, their dtypes, origin and precedence."""

from enum import IntEnum
from types import MappingProxyType

import msgspec


class Origin(IntEnum):
    """How a record was obtained: live, as the vendor's update, by REST, from a user's feed."""

    LIVE = 0
    UPDATED = 1
    BACKFILL = 2
    CUSTOM = 3


# Of two different versions of a bar the one with the higher precedence wins: REST answers include
# all corrections, updates include the late trades, live bars include neither.
PRECEDENCE = MappingProxyType(
    {Origin.LIVE: 0, Origin.CUSTOM: 0, Origin.UPDATED: 1, Origin.BACKFILL: 2}
)


class Kind(msgspec.Struct, frozen=True):
    """
    A kind of record, described by its columns.

    Columns map names to little-endian numpy dtypes, in wire order: key, values, grades (only after
    grading), stored (only from the store).

    Attributes:
        name: name of the kind on the wire.
        values: columns that the feed delivers.
    """

    name: str
    values: dict[str, str]

    @property
    def columns(self) -> dict[str, str]:
        """Dtype of every column that a block of this kind may have."""
        return KEY | self.values | GRADES | STORED

    @property
    def required(self) -> dict[str, str]:
        """Dtype of every column that a block of this kind must have."""
        return KEY | self.values


KEY = {"symbol": "<u2", "start_ns": "<i8", "origin": "|u1", "received_ns": "<i8"}
GRADES = {"level": "|u1", "reasons": "<u8"}
# The bit of `reasons` that marks a repeat (check S01): readers of blocks drop these rows.
REPEAT_BIT = 9
STORED = {"seq": "<i8", "stored_ns": "<i8"}

BAR = Kind(
    "bar",
    {
        "open": "<f8",
        "high": "<f8",
        "low": "<f8",
        "close": "<f8",
        "volume": "<f8",
        "vwap": "<f8",  # NaN if the feed has none
        "trade_count": "<i8",  # -1 if the feed has none
    },
)

QUOTE = Kind(
    "quote",
    {
        "bid_open": "<f8",  # 0 if there is no bid
        "bid_high": "<f8",
        "bid_low": "<f8",
        "bid_close": "<f8",
        "ask_open": "<f8",  # 0 if there is no ask
        "ask_high": "<f8",
        "ask_low": "<f8",
        "ask_close": "<f8",
        "bid_size": "<f8",
        "ask_size": "<f8",
    },
)

KINDS = MappingProxyType({kind.name: kind for kind in (BAR, QUOTE)})
