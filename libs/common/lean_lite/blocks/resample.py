"""Longer bars from shorter ones."""

from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from lean_lite.blocks.block import Block
from lean_lite.blocks.schema import BAR
from lean_lite.blocks.trading_time import bucket_starts, regular_session_mask
from lean_lite.market.time_buckets import Instants
from lean_lite.model import Resolution

RowIndices = npt.NDArray[np.intp]
# What grading and the store add: the worst level, all reasons, the newest place.
FOLDS = MappingProxyType[str, np.ufunc](
    {
        "level": np.minimum,
        "reasons": np.bitwise_or,
        "seq": np.maximum,
        "stored_ns": np.maximum,
    }
)


def resample(block: Block, resolution: Resolution, *, extended: bool = True) -> Block:
    """
    Return the bars of a block folded into longer ones, in order of symbol and start.

    The first open, highest high, lowest low, last close, summed volume and count; VWAP is the mean
    weighted by volume. A VWAP or a count is absent when that of any bar with volume is. The level
    is the worst, the reasons are all of them; INVALID rows are left out. Of two rows with one start
    the later counts, but every tick does. Without `extended`, bars outside of the regular session
    are left out. Bars that are as long already stay as they are, and where they are. ValueError
    when the bars of the block do not add up to the resolution, or are of quotes.
    """
    if block.kind.name != BAR.name:
        message = (
            f"only bars of trades are made into longer ones, not those of kind {block.kind.name}"
        )
        raise ValueError(message)
    check_longer(block.resolution, resolution)
    rows = _in_order(_select(block, block.is_valid))
    if not extended:
        rows = _select(rows, regular_session_mask(rows))
    if block.resolution is resolution:
        return rows
    return _fold(rows, _runs(rows, resolution), resolution)


def check_longer(shorter: Resolution, longer: Resolution) -> None:
    """Raise ValueError when bars of one resolution can't be made of those of another."""
    if longer.seconds < max(shorter.seconds, 1) or longer.seconds % max(shorter.seconds, 1):
        message = (
            f"{shorter.value} bars do not add up to {longer.value} bars: "
            f"ask for a multiple of {shorter.value}"
        )
        raise ValueError(message)


def _in_order(block: Block) -> Block:
    """Return the rows in order of symbol and start, and of equal ones the last."""
    if _ascending(block).all():
        return block
    rows = block.take(np.lexsort((block["start_ns"], block["symbol"])))
    if block.resolution is Resolution.TICK:
        return rows
    # The sort has kept the order of equal ones.
    return _select(rows, np.append(_ascending(rows), np.True_))


def _ascending(block: Block) -> npt.NDArray[np.bool_]:
    """Return which rows but the last come before the next one by symbol and start."""
    symbol, start_ns = block["symbol"], block["start_ns"]
    ascending: npt.NDArray[np.bool_] = start_ns[1:] > start_ns[:-1]
    if len(block.symbols) > 1:
        ascending &= symbol[1:] == symbol[:-1]
        ascending |= symbol[1:] > symbol[:-1]
    return ascending


def _select(block: Block, rows: npt.NDArray[np.bool_]) -> Block:
    return block if rows.all() else block.take(rows)


class _Runs(NamedTuple):
    """Hold the first and last row of each longer bar, and its start."""

    firsts: RowIndices
    lasts: RowIndices
    starts_ns: Instants


def _runs(rows: Block, resolution: Resolution) -> _Runs:
    symbol, bucket_ns = rows["symbol"], bucket_starts(rows, resolution.seconds)
    changes = bucket_ns[1:] != bucket_ns[:-1]
    if len(rows.symbols) > 1:
        changes |= symbol[1:] != symbol[:-1]
    lasts = np.append(np.flatnonzero(changes), len(rows) - 1)[: len(rows)]
    firsts = np.append(0, lasts[:-1] + 1)[: len(rows)]
    return _Runs(firsts, lasts, bucket_ns[firsts])


def _fold(rows: Block, runs: _Runs, resolution: Resolution) -> Block:
    firsts, lasts, starts_ns = runs
    volume = _reduce_runs(np.add, rows["volume"], firsts)
    folded = {
        "symbol": rows["symbol"][firsts],
        "start_ns": starts_ns,
        "origin": rows["origin"][lasts],
        "received_ns": _reduce_runs(np.maximum, rows["received_ns"], firsts),
        "open": rows["open"][firsts],
        "high": _reduce_runs(np.maximum, rows["high"], firsts),
        "low": _reduce_runs(np.minimum, rows["low"], firsts),
        "close": rows["close"][lasts],
        "volume": volume,
        "vwap": _vwap(rows, volume, firsts),
        "trade_count": _trade_count(rows, firsts),
    }
    for name, fold in FOLDS.items():
        if name in rows.columns:
            folded[name] = _reduce_runs(fold, rows[name], firsts)
    return msgspec.structs.replace(rows, resolution=resolution, columns=MappingProxyType(folded))


def _reduce_runs(fold: np.ufunc, column: npt.NDArray[Any], firsts: RowIndices) -> npt.NDArray[Any]:
    """Fold each run of a column; numpy can't reduce no runs at all."""
    folded: npt.NDArray[Any] = fold.reduceat(column, firsts) if len(firsts) else column[:0]
    return folded


def _vwap(
    rows: Block, volume: npt.NDArray[np.float64], firsts: RowIndices
) -> npt.NDArray[np.float64]:
    """Return the mean weighted by volume; NaN where a bar with volume has none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = rows["vwap"] * rows["volume"]
        value[rows["volume"] == 0] = 0.0
        vwap: npt.NDArray[np.float64] = _reduce_runs(np.add, value, firsts) / volume
    vwap[volume == 0] = np.nan
    return vwap


def _trade_count(rows: Block, firsts: RowIndices) -> npt.NDArray[np.int64]:
    """Return the sums; -1 where a bar with volume has no count, or no bar has one."""
    counts = rows["trade_count"]
    unknown = counts < 0
    if not unknown.any():
        return _reduce_runs(np.add, counts, firsts)
    total = _reduce_runs(np.add, np.maximum(counts, 0), firsts)
    unclear = _reduce_runs(np.logical_or, unknown & (rows["volume"] != 0), firsts)
    total[unclear | _reduce_runs(np.logical_and, unknown, firsts)] = -1
    return total
