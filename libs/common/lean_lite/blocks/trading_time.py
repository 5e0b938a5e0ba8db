"""Calendar of each row by its asset class: regular session, bucket starts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_lite.blocks.block import Block, Mask, Rows
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import Instants, TimeBuckets, overlaps_regular_session


def regular_session_mask(block: Block) -> Mask:
    """Return whether each bar overlaps a regular session."""
    starts_ns = block["start_ns"]
    ends_ns = np.maximum(block.end_ns, starts_ns + 1)  # a tick has no length
    overlaps: Mask = _per_asset_class(
        block,
        np.bool_,
        lambda name, rows: overlaps_regular_session(name, starts_ns[rows], ends_ns[rows]),
    )
    return overlaps


def bucket_starts(block: Block, length_s: int) -> Instants:
    """Return the start of the longer bar that each bar belongs to."""
    starts_ns = block["start_ns"]
    buckets_ns: Instants = _per_asset_class(
        block, np.int64, lambda name, rows: TimeBuckets(name, length_s).starts(starts_ns[rows])
    )
    return buckets_ns


def _per_asset_class(
    block: Block, dtype: npt.DTypeLike, compute: Callable[[str, Rows], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Compute a value of each row, one asset class at a time."""
    class_of_symbol = np.array([asset_class_of(symbol) for symbol in block.symbols])
    classes = np.unique(class_of_symbol).tolist()
    if len(classes) == 1:
        return compute(classes[0], slice(None))
    values = np.empty(len(block), dtype)
    for asset_class in classes:
        rows = (class_of_symbol == asset_class)[block["symbol"]]
        values[rows] = compute(asset_class, rows)
    return values
