"""What the asset class of a bar's symbol says of the bar."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lean_lite.blocks.block import Block, Rows
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import Instants, TimeBuckets, regular


def regular_session_mask(block: Block) -> npt.NDArray[np.bool_]:
    """Return which bars hold some regular trading."""
    starts_ns = block["start_ns"]
    ends_ns = np.maximum(block.end_ns, starts_ns + 1)  # a tick takes no time
    held: npt.NDArray[np.bool_] = _per_asset_class(
        block, np.bool_, lambda name, rows: regular(name, starts_ns[rows], ends_ns[rows])
    )
    return held


def bucket_starts(block: Block, length_s: int) -> Instants:
    """Return the start of the longer bar that holds each bar."""
    starts_ns = block["start_ns"]
    buckets_ns: Instants = _per_asset_class(
        block, np.int64, lambda name, rows: TimeBuckets(name, length_s).starts(starts_ns[rows])
    )
    return buckets_ns


def _per_asset_class(
    block: Block, dtype: npt.DTypeLike, answer: Callable[[str, Rows], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Ask for the rows of each asset class; return the answers in the order of the rows."""
    classes = np.array([asset_class_of(symbol) for symbol in block.symbols])
    found = np.unique(classes).tolist()
    if len(found) == 1:
        return answer(found[0], slice(None))
    answers = np.empty(len(block), dtype)
    for asset_class in found:
        rows = (classes == asset_class)[block["symbol"]]
        answers[rows] = answer(asset_class, rows)
    return answers
