"""Which columns a block has, in which order and with which bytes."""

from enum import IntEnum
from types import MappingProxyType

import msgspec


class Origin(IntEnum):
    """Say how a record reached the feed."""

    LIVE = 0
    UPDATED = 1
    BACKFILL = 2
    CUSTOM = 3


# When two versions of a bar differ, the higher of these wins: REST knows best.
PRECEDENCE = MappingProxyType(
    {Origin.LIVE: 0, Origin.CUSTOM: 0, Origin.UPDATED: 1, Origin.BACKFILL: 2}
)


class Kind(msgspec.Struct, frozen=True):
    """
    Describe one kind of record by its columns.

    Every column maps a name to a numpy dtype, little-endian by contract. `values` are what the
    feed said; `head` is where and when; `grades` are there only after validate; `places` only in
    the store.
    """

    name: str
    values: dict[str, str]

    @property
    def columns(self) -> dict[str, str]:
        """Return the dtype of every column that this kind can have, in wire order."""
        return KEY | self.values | GRADES | STORED

    @property
    def required(self) -> dict[str, str]:
        """Return the columns that every block of this kind has."""
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
        "vwap": "<f8",  # NaN: the feed has none
        "trade_count": "<i8",  # -1: the feed has none
    },
)

QUOTE = Kind(
    "quote",
    {
        "bid_open": "<f8",  # 0: nobody bids
        "bid_high": "<f8",
        "bid_low": "<f8",
        "bid_close": "<f8",
        "ask_open": "<f8",  # 0: nobody asks
        "ask_high": "<f8",
        "ask_low": "<f8",
        "ask_close": "<f8",
        "bid_size": "<f8",
        "ask_size": "<f8",
    },
)

KINDS = MappingProxyType({kind.name: kind for kind in (BAR, QUOTE)})
