"""Bars as pandas has them."""

from typing import TYPE_CHECKING

import numpy as np

from lean_lite.data.optional import import_optional

if TYPE_CHECKING:
    import pandas as pd

    from lean_lite.data.bars.bars import Bars


def utc_index(bars: "Bars") -> "pd.DatetimeIndex":
    """Return the starts of bars in UTC."""
    pandas = import_optional("pandas", "pandas")
    index: pd.DatetimeIndex = pandas.DatetimeIndex(
        bars.block["start_ns"].astype("datetime64[ns]"), name="timestamp"
    ).tz_localize("UTC")
    return index


def to_dataframe(bars: "Bars") -> "pd.DataFrame":
    """Return bars as a frame; see `Bars.to_df`."""
    pandas = import_optional("pandas", "pandas")
    block = bars.block
    counts = block["trade_count"]
    # One text at least tells pandas the type of a column of texts.
    names = pandas.Series([*block.symbols, ""]).array
    frame: pd.DataFrame = pandas.DataFrame(
        {
            "symbol": names.take(block["symbol"].astype(np.intp)),
            **{name: block[name] for name in ("open", "high", "low", "close", "volume", "vwap")},
            "trade_count": pandas.arrays.IntegerArray(counts.copy(), counts < 0),
            "quality": bars.quality,
            "partial": bars.partial,
        },
        index=utc_index(bars),
    )
    return frame
