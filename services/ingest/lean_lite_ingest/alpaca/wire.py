"""Alpaca's messages to rows."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgpack import Timestamp

from lean_lite.blocks import Origin
from lean_lite.model.timestamps import to_ns
from lean_lite_ingest.rows import Row

ORIGINS = {"b": Origin.LIVE, "u": Origin.UPDATED}
NO_COUNT = -1
# On the wire -1 is no "absent" but a wrong count: keep it apart, so that validate can see it.
BAD_COUNT = -2
MAX_COUNT = 2**63 - 1  # what a column of int64 holds


def to_row(message: Mapping[str, Any], origin: Origin, wall_ns: int, symbol: str = "") -> Row:
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


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _count(value: float | None) -> int:
    if value is None:
        return NO_COUNT
    return int(_check_range(value)) if value >= 0 else BAD_COUNT


def _start_ns(stamp: Timestamp | str) -> int:
    if isinstance(stamp, Timestamp):
        return _check_range(int(stamp.to_unix_nano()))
    return _check_range(to_ns(datetime.fromisoformat(stamp)))


def _check_range[Number: (int, float)](number: Number) -> Number:
    if abs(number) > MAX_COUNT:
        message = f"{number} does not fit into a column"
        raise ValueError(message)
    return number
