"""Bars made into longer ones, with what is known of their span."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.resample import resample
from lean_lite.data.bars import Bars
from lean_lite.data.resampling.completeness import complete_since, expected_bars
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import Instants, TimeBuckets
from lean_lite.model import Resolution

LATEST_NS = 2**63 - 1


def fold_bars(
    bars: Bars,
    resolution: Resolution,
    *,
    extended: bool = True,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Bars:
    """
    Return bars folded into longer ones, those marked that were made of less than their time.

    What is known reaches from `start_ns` to `end_ns`, or without those from the first bar to the
    last. Bars that are as long already stay as they are. ValueError when the bars do not add up to
    the resolution.
    """
    if bars.resolution is resolution:
        return _filtered(bars, extended=extended)
    folded = resample(bars.block, resolution, extended=extended)
    known = _complete_spans(bars)
    if start_ns is not None:
        known = known._replace(since_ns=np.full_like(known.since_ns, start_ns))
    if end_ns is not None:
        known = known._replace(until_ns=np.full_like(known.until_ns, end_ns))
    partial = _partial(folded, known, extended=extended)
    return Bars(folded, bars.gaps, _expected(bars, resolution), partial)


class _CompleteSpans(NamedTuple):
    """Say from when until when each symbol of a block is known."""

    since_ns: Instants
    until_ns: Instants


def _filtered(bars: Bars, *, extended: bool) -> Bars:
    """Return the bars that count, in order."""
    marked = bars.block.with_columns(partial=bars.partial)
    columns = dict(resample(marked, bars.resolution, extended=extended).columns)
    partial = columns.pop("partial")
    return Bars(bars.block.replace(columns), bars.gaps, bars.expected, partial)


def _complete_spans(bars: Bars) -> _CompleteSpans:
    """Return the times from the first bar of each symbol to its last; a partial one is none."""
    block = bars.block.take(~bars.partial)
    symbols = len(block.symbols)
    known = _CompleteSpans(np.full(symbols, LATEST_NS), np.full(symbols, -LATEST_NS))
    np.minimum.at(known.since_ns, block["symbol"], block["start_ns"])
    np.maximum.at(known.until_ns, block["symbol"], block.end_ns)
    for code in np.unique(block["symbol"]).tolist():
        since_ns = int(known.since_ns[code])
        known.since_ns[code] = complete_since(block.symbols[code], block.resolution, since_ns)
    return known


def _expected(bars: Bars, resolution: Resolution) -> int:
    """
    Return how many longer bars are expected where shorter ones were; 0 when nothing tells.

    The bars do not say for which span they were asked. It is known where all that was expected of
    them lies from the first of the longer bars to the last.
    """
    if not bars.expected or len(bars.symbols) != 1:
        return 0
    block, (symbol,) = bars.block, bars.symbols
    first_ns, last_ns = int(block["start_ns"].min()), int(block["start_ns"].max())
    buckets = TimeBuckets(asset_class_of(symbol), resolution.seconds)
    start_ns, end_ns = buckets.start(first_ns), buckets.end(buckets.start(last_ns))
    least = expected_bars(symbol, block.resolution, first_ns, last_ns + 1)
    most = expected_bars(symbol, block.resolution, start_ns, end_ns)
    if not least <= bars.expected <= most:
        return 0
    return expected_bars(symbol, resolution, start_ns, end_ns)


def _partial(folded: Block, known: _CompleteSpans, *, extended: bool) -> npt.NDArray[np.bool_]:
    """
    Return which bars have trading before what is known of their symbol, or after it.

    What did not trade in between is no matter of this: only the first and the last bar of a symbol
    can be partial.
    """
    partial = np.zeros(len(folded), np.bool_)
    codes, starts_ns = folded["symbol"], folded["start_ns"]
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for row in {*edges[:-1].tolist(), *(edges[1:] - 1).tolist()}:
        code = int(codes[row])
        buckets = TimeBuckets(asset_class_of(folded.symbols[code]), folded.resolution.seconds)
        trading = buckets.trading(int(starts_ns[row]), extended=extended)
        if trading is not None:
            since_ns, until_ns = trading
            partial[row] = known.since_ns[code] > since_ns or known.until_ns[code] < until_ns
    return partial
