"""Resample a block: fold its bars into longer ones."""

from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from lean_lite.blocks.block import Block, Mask
from lean_lite.blocks.schema import BAR
from lean_lite.blocks.trading_time import bucket_starts, regular_session_mask
from lean_lite.market.time_buckets import Instants
from lean_lite.model import Resolution

RowIndices = npt.NDArray[np.intp]
# Folds of the columns that grading and the store add: worst level, all reasons, newest frame.
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
    Fold bars into longer ones, in order of symbol and start.

    A longer bar has the first open, highest high, lowest low, last close, summed volume and trade
    count, and the VWAP weighted by volume. Its VWAP or trade count is missing if any bar with
    volume has none. Its level is the worst, its reasons are those of all bars. INVALID rows are
    left out. Of rows with the same symbol and start only the last one counts; all ticks count.
    Bars of the target resolution keep their values and starts.

    Args:
        block: trade bars, in any order.
        resolution: length of the longer bars, a multiple of the block's.
        extended: whether bars outside of the regular session count.

    Raises:
        ValueError: the resolution is not a multiple, or the block holds quotes.
    """
    if block.kind.name != BAR.name:
        message = f"only trade bars can be resampled, not records of kind {block.kind.name}"
        raise ValueError(message)
    check_longer(block.resolution, resolution)
    rows = _in_order(_select(block, block.is_valid))
    if not extended:
        rows = _select(rows, regular_session_mask(rows))
    if block.resolution is resolution:
        return rows
    return _fold(rows, _runs(rows, resolution), resolution)


def check_longer(shorter: Resolution, longer: Resolution) -> None:
    """Raise ValueError if bars of one resolution do not add up to bars of another."""
    if longer.seconds < max(shorter.seconds, 1) or longer.seconds % max(shorter.seconds, 1):
        message = (
            f"{shorter.value} bars do not add up to {longer.value} bars: "
            f"use a multiple of {shorter.value}"
        )
        raise ValueError(message)


def _in_order(block: Block) -> Block:
    """Sort rows by symbol and start; of equal ones only the last remains, except of ticks."""
    if _ascending(block).all():
        return block
    rows = block.take(np.lexsort((block["start_ns"], block["symbol"])))
    if block.resolution is Resolution.TICK:
        return rows
    # The sort is stable: the last of equal rows is still the last one given.
    return _select(rows, np.append(_ascending(rows), np.True_))


def _ascending(block: Block) -> Mask:
    """Return whether each row but the last is before the next one by symbol and start."""
    symbol, start_ns = block["symbol"], block["start_ns"]
    ascending: Mask = start_ns[1:] > start_ns[:-1]
    if len(block.symbols) > 1:
        ascending &= symbol[1:] == symbol[:-1]
        ascending |= symbol[1:] > symbol[:-1]
    return ascending


def _select(block: Block, rows: Mask) -> Block:
    return block if rows.all() else block.take(rows)


class _Runs(NamedTuple):
    """First and last row of each longer bar, and its start."""

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
    """Fold each run of a column; numpy can't reduce an empty list of runs."""
    folded: npt.NDArray[Any] = fold.reduceat(column, firsts) if len(firsts) else column[:0]
    return folded


def _vwap(
    rows: Block, volume: npt.NDArray[np.float64], firsts: RowIndices
) -> npt.NDArray[np.float64]:
    """Compute VWAPs; NaN where a bar with volume has none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        turnover = rows["vwap"] * rows["volume"]
        turnover[rows["volume"] == 0] = 0.0
        vwap: npt.NDArray[np.float64] = _reduce_runs(np.add, turnover, firsts) / volume
    vwap[volume == 0] = np.nan
    return vwap


def _trade_count(rows: Block, firsts: RowIndices) -> npt.NDArray[np.int64]:
    """Sum trade counts; -1 where a bar with volume has none, or no bar has one."""
    counts = rows["trade_count"]
    missing = counts < 0
    if not missing.any():
        return _reduce_runs(np.add, counts, firsts)
    total = _reduce_runs(np.add, np.maximum(counts, 0), firsts)
    incomplete = _reduce_runs(np.logical_or, missing & (rows["volume"] != 0), firsts)
    total[incomplete | _reduce_runs(np.logical_and, missing, firsts)] = -1
    return total
