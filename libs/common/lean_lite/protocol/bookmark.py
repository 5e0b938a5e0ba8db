"""Bookmark: durable position of a named reader."""

from typing import NamedTuple

import msgspec


class DeliveredBar(NamedTuple):
    """
    A bar that was delivered to the reader.

    Attributes:
        symbol: symbol of the bar.
        start_ns: start of the bar, in ns since 1970 UTC.
        seq: GRADED sequence of the frame that held it.
    """

    symbol: str
    start_ns: int
    seq: int


class StartPosition(NamedTuple):
    """
    From which frame and minute on the live bars of a symbol count.

    Attributes:
        seq: GRADED sequence; bars of later frames count.
        start_ns: earliest start of a bar that counts, in ns since 1970 UTC.
    """

    seq: int
    start_ns: int


class Bookmark(msgspec.Struct, frozen=True):
    """
    Position of a named reader, stored in the bucket `strategies` under its name.

    Attributes:
        reader: random id of the process that reads under the name; another id shows that a second
            process writes under it.
        done: maps a lane to the GRADED sequence up to which every bar was delivered.
        beyond: bars that were delivered from later frames. Default: none.
        symbols: maps each symbol that was read to its start position; the lane may have other
            symbols, too. Default: empty, as earlier versions wrote it.
    """

    reader: str
    done: dict[str, int]
    beyond: tuple[DeliveredBar, ...] = ()
    symbols: dict[str, StartPosition] = {}
