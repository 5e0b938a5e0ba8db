"""Durable position of a named reader."""

from typing import NamedTuple

import msgspec


class DeliveredBar(NamedTuple):
    """Name a bar that was taken, and the GRADED frame that it came with."""

    symbol: str
    start_ns: int
    seq: int


class StartPosition(NamedTuple):
    """Say which live bars of a symbol count: of frames after `seq`, from a start on."""

    seq: int
    start_ns: int


class Bookmark(msgspec.Struct, frozen=True):
    """
    Remember in the bucket `strategies` how far a reader with a durable name has come.

    `done` maps a lane to the last GRADED frame that it is done with, `beyond` holds what it is done
    with of later frames. `reader` tells one process that reads under the name from another.
    `symbols` are those it read: a lane may have others. It was empty in earlier versions.
    """

    reader: str
    done: dict[str, int]
    beyond: tuple[DeliveredBar, ...] = ()
    symbols: dict[str, StartPosition] = {}
