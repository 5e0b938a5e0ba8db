"""Longer bars from shorter ones."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lean_lite.algorithm.data_models import Resolution
from lean_lite.blocks.block import Block
from lean_lite.blocks.columns import BAR
from lean_lite.market.buckets import Buckets, regular
from lean_lite.market.symbols import asset_class_of

Groups = npt.NDArray[np.intp]


def resample(block: Block, resolution: Resolution, *, extended: bool = True) -> Block:
    """
    Return the bars of a block folded into longer ones, in order of symbol and start.

    The first open, highest high, lowest low, last close, summed volume and count; VWAP is the mean
    weighted by volume. A VWAP or a count is absent when that of any bar with volume is. The level
    is the worst, the reasons are all of them; INVALID rows are left out. Of two rows with one start
    the later counts. Without `extended`, bars outside of the regular session are left out.
    ValueError when the resolution is not longer than the block's.
    """
    check_longer(block.resolution, resolution)
    rows = _valid(block)
    order = np.lexsort((rows["start_ns"], rows["symbol"]))
    rows = rows if bool((order == np.arange(len(rows))).all()) else rows.take(order)
    rows = rows.take(_latest(rows))
    parts = [_part(rows, code, resolution, extended=extended) for code in _codes(rows)]
    kept, bucket_ns = _joined(rows, parts)
    return _fold(kept, bucket_ns, resolution)


def check_longer(shorter: Resolution, longer: Resolution) -> None:
    """Raise ValueError when bars of one resolution can't be made of those of another."""
    if longer.seconds < max(shorter.seconds, 1) or longer.seconds % max(shorter.seconds, 1):
        message = (
            f"{shorter.value} bars do not add up to {longer.value} bars: "
            f"ask for a multiple of {shorter.value}"
        )
        raise ValueError(message)


def _valid(block: Block) -> Block:
    levels = block.columns.get("level")
    return block if levels is None or levels.all() else block.take(levels > 0)


def _latest(rows: Block) -> npt.NDArray[np.bool_]:
    """Keep the last of equal keys; the sort before has kept their order."""
    latest = np.ones(len(rows), np.bool_)
    same = (rows["start_ns"][1:] == rows["start_ns"][:-1]) & (
        rows["symbol"][1:] == rows["symbol"][:-1]
    )
    latest[:-1] = ~same
    return latest


def _codes(rows: Block) -> list[int]:
    return list(map(int, np.unique(rows["symbol"])))


def _part(
    rows: Block, code: int, resolution: Resolution, *, extended: bool
) -> tuple[slice, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return where a symbol's rows are, which of them count, and the bucket of each."""
    first, end = np.searchsorted(rows["symbol"], [code, code + 1])
    place = slice(int(first), int(end))
    starts = rows["start_ns"][place]
    asset_class = asset_class_of(rows.symbols[code])
    counts = np.ones(len(starts), np.bool_)
    if not extended:
        counts = regular(asset_class, starts, rows.end_ns[place])
    return place, counts, Buckets(asset_class, resolution.seconds).starts(starts)


def _joined(
    rows: Block, parts: list[tuple[slice, npt.NDArray[np.bool_], npt.NDArray[np.int64]]]
) -> tuple[Block, npt.NDArray[np.int64]]:
    if not parts:
        return rows, np.empty(0, np.int64)
    counts = np.concatenate([part[1] for part in parts])
    bucket_ns = np.concatenate([part[2] for part in parts])
    return (rows, bucket_ns) if counts.all() else (rows.take(counts), bucket_ns[counts])


def _fold(rows: Block, bucket_ns: npt.NDArray[np.int64], resolution: Resolution) -> Block:
    changes = (bucket_ns[1:] != bucket_ns[:-1]) | (rows["symbol"][1:] != rows["symbol"][:-1])
    firsts = np.flatnonzero(np.concatenate([np.ones(min(len(rows), 1), np.bool_), changes]))
    lasts = np.append(firsts[1:], len(rows))[: len(firsts)] - 1
    folded = {
        "symbol": rows["symbol"][firsts],
        "start_ns": bucket_ns[firsts],
        "origin": rows["origin"][lasts],
        "received_ns": _over(np.maximum, rows["received_ns"], firsts),
        "open": rows["open"][firsts],
        "high": _over(np.maximum, rows["high"], firsts),
        "low": _over(np.minimum, rows["low"], firsts),
        "close": rows["close"][lasts],
        "volume": _over(np.add, rows["volume"], firsts),
        "vwap": _vwap(rows, firsts),
        "trade_count": _trade_count(rows, firsts),
    }
    folds: dict[str, Any] = {
        "level": np.minimum,
        "reasons": np.bitwise_or,
        "seq": np.maximum,
        "stored_ns": np.maximum,
    }
    for name in folds.keys() & rows.columns.keys():
        folded[name] = _over(folds[name], rows[name], firsts)
    ordered = {name: folded[name] for name in BAR.columns if name in folded}
    return Block(rows.kind, resolution, rows.feed, rows.symbols, ordered, rows.simulated)


def _over(fold: Any, column: npt.NDArray[Any], firsts: Groups) -> npt.NDArray[Any]:  # noqa: ANN401
    """Fold each group of a column; numpy knows no empty reduction of no groups."""
    folded: npt.NDArray[Any] = fold.reduceat(column, firsts) if len(firsts) else column[:0]
    return folded


def _vwap(rows: Block, firsts: Groups) -> npt.NDArray[np.float64]:
    volume = rows["volume"]
    value = np.where(volume == 0, 0.0, rows["vwap"] * volume)
    total = _over(np.add, volume, firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        vwap: npt.NDArray[np.float64] = _over(np.add, value, firsts) / total
    vwap[total == 0] = np.nan
    return vwap


def _trade_count(rows: Block, firsts: Groups) -> npt.NDArray[np.int64]:
    counts = rows["trade_count"]
    unknown = (counts < 0) & (rows["volume"] != 0)
    total = _over(np.add, np.maximum(counts, 0), firsts)
    # A bucket in which nobody knows a count has none either.
    known = _over(np.maximum, counts, firsts) >= 0
    total[_over(np.logical_or, unknown, firsts) | ~known] = -1
    return total


def partial_rows(
    folded: Block, since_ns: dict[str, int], until_ns: dict[str, int], *, extended: bool = True
) -> npt.NDArray[np.bool_]:
    """
    Return which folded rows have trading before what is known of their symbol, or after it.

    A symbol is known in [`since_ns`, `until_ns`). What did not trade in between is no matter of
    this: only the first and the last row of a symbol can be partial.
    """
    partial = np.zeros(len(folded), np.bool_)
    for code in _codes(folded):
        first, end = np.searchsorted(folded["symbol"], [code, code + 1]).tolist()
        symbol = folded.symbols[code]
        buckets = Buckets(asset_class_of(symbol), folded.resolution.seconds)
        for row in {first, end - 1}:
            begin_ns, end_ns = buckets.trading(int(folded["start_ns"][row]), extended=extended)
            partial[row] = since_ns[symbol] > begin_ns or until_ns[symbol] < end_ns
    return partial


def known_spans(block: Block) -> tuple[dict[str, int], dict[str, int]]:
    """Return the start of the first and the end of the last bar of every symbol."""
    since_ns: dict[str, int] = {}
    until_ns: dict[str, int] = {}
    for code in _codes(block):
        rows = block["symbol"] == code
        since_ns[block.symbols[code]] = int(block["start_ns"][rows].min())
        until_ns[block.symbols[code]] = int(block.end_ns[rows].max())
    return since_ns, until_ns
