"""The recorded minutes of the simulator, on their original days."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pandas as pd

from lean_lite.blocks import Block, Origin
from lean_lite.blocks.block import from_columns

OHLCV = ("open", "high", "low", "close", "volume")


@cache
def recorded(symbol: str) -> pd.DataFrame:
    """Return minutes by the clock of New York, those of crypto in UTC."""
    packed = files("lean_lite_sim") / "recordings" / f"{symbol.replace('/', '-')}.csv.gz"
    with as_file(packed) as path:
        rows = pd.read_csv(path, dtype=dict.fromkeys(OHLCV, float))
    starts = pd.DatetimeIndex(rows["day"] + " " + rows["minute"])
    return rows[list(OHLCV)].set_index(starts)


def block_of_recorded(symbol: str) -> Block:
    """Return the recorded minutes of a symbol as a block."""
    frame = recorded(symbol)
    return from_columns(
        "recorded",
        [symbol] * len(frame),
        {
            "start_ns": to_ns_since_1970(symbol, pd.DatetimeIndex(frame.index)),
            "origin": np.full(len(frame), Origin.BACKFILL),
            "received_ns": np.zeros(len(frame)),
            **{name: frame[name].to_numpy() for name in OHLCV},
            "vwap": np.full(len(frame), np.nan),
            "trade_count": np.full(len(frame), -1),
        },
    )


def to_ns_since_1970(symbol: str, clock: pd.DatetimeIndex) -> list[int]:
    """Convert local times of a symbol's market to nanoseconds since 1970 UTC."""
    zone = "UTC" if "/" in symbol else "America/New_York"
    return clock.tz_localize(zone).as_unit("ns").asi8.tolist()
