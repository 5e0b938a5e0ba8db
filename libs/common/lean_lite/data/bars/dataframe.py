"""Block to DataFrame."""

from typing import TYPE_CHECKING

import numpy as np

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.data.optional import import_optional

if TYPE_CHECKING:
    import pandas as pd


def utc_index(block: Block) -> "pd.DatetimeIndex":
    """Convert the starts of a block to an index in UTC named `timestamp`."""
    pandas = import_optional("pandas", "pandas")
    index: pd.DatetimeIndex = pandas.DatetimeIndex(
        block["start_ns"].astype("datetime64[ns]"), name="timestamp"
    ).tz_localize("UTC")
    return index


def to_dataframe(block: Block, partial: Mask) -> "pd.DataFrame":
    """Convert a block to a DataFrame with the columns that `Bars.to_df` documents."""
    pandas = import_optional("pandas", "pandas")
    counts = block["trade_count"]
    # Without any text pandas would not infer a column of strings; no row refers to the empty one.
    names = pandas.Series([*block.symbols, ""]).array
    dataframe: pd.DataFrame = pandas.DataFrame(
        {
            "symbol": names.take(block["symbol"].astype(np.intp)),
            **{name: block[name] for name in ("open", "high", "low", "close", "volume", "vwap")},
            "trade_count": pandas.arrays.IntegerArray(counts.copy(), counts < 0),
            "quality": block.scores,
            "partial": partial,
        },
        index=utc_index(block),
    )
    return dataframe
