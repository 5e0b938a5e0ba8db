"""Turn Alpaca's bars, off the socket or from REST, into rows and blocks."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgpack import Timestamp

from lean_lite.algorithm.data_models import Resolution, to_ns
from lean_lite.blocks import Block, Origin
from lean_lite.blocks.block import from_columns
from lean_lite_ingest.clock import FeedClock

ORIGINS = {"b": Origin.LIVE, "u": Origin.UPDATED}
NO_COUNT = -1
# On the wire -1 is no "absent" but a wrong count: keep it apart, so that validate can see it.
BAD_COUNT = -2
LARGEST = 2**63 - 1  # what a column of int64 holds


class Row(NamedTuple):
    """Hold one bar of the wire; `wall_ns` is when it came in, by this machine's clock."""

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    origin: int
    wall_ns: int


def row_of(message: Mapping[str, Any], origin: Origin, wall_ns: int, symbol: str = "") -> Row:
    """Return a bar as a row; KeyError, TypeError or ValueError when it is none."""
    return Row(
        symbol or str(message["S"]),
        _start_ns(message["t"]),
        _number(message["o"]),
        _number(message["h"]),
        _number(message["l"]),
        _number(message["c"]),
        _number(message["v"]),
        _number(message.get("vw")),
        _count(message.get("n")),
        origin,
        wall_ns,
    )


def block_of(
    rows: Sequence[Row],
    feed: str,
    clock: FeedClock,
    resolution: Resolution = Resolution.MINUTE,
    *,
    simulated: bool,
) -> Block:
    """Return rows as a block, with the feed's time of their arrival."""
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    symbols = [str(symbol) for symbol in columns.pop("symbol")]
    columns["received_ns"] = tuple(clock.at(row.wall_ns) for row in rows)
    return from_columns(feed, symbols, columns, resolution=resolution, simulated=simulated)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _count(value: float | None) -> int:
    if value is None:
        return NO_COUNT
    return int(_fitting(value)) if value >= 0 else BAD_COUNT


def _start_ns(stamp: Timestamp | str) -> int:
    if isinstance(stamp, Timestamp):
        return _fitting(int(stamp.to_unix_nano()))
    return _fitting(to_ns(datetime.fromisoformat(stamp)))


def _fitting[Number: (int, float)](number: Number) -> Number:
    if abs(number) > LARGEST:
        message = f"{number} does not fit into a column"
        raise ValueError(message)
    return number
