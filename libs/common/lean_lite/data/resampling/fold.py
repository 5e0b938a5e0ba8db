"""Fold `Bars` into longer ones; mark partial ones and carry gaps and expectations over."""

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
    Fold bars into longer ones, and mark those with missing trading time as partial.

    Bars of the same resolution are not changed.

    Args:
        bars: bars of any number of symbols.
        resolution: length of the longer bars, a multiple of that of the bars.
        extended: whether bars outside of the regular session count.
        start_ns: since when the bars are complete; by default since each symbol's first bar.
        end_ns: until when the bars are complete; by default until each symbol's last bar.

    Raises:
        ValueError: the bars do not add up to the resolution.
    """
    if bars.resolution is resolution:
        return _filtered(bars, extended=extended)
    folded = resample(bars.block, resolution, extended=extended)
    spans = _complete_spans(bars)
    if start_ns is not None:
        spans = spans._replace(since_ns=np.full_like(spans.since_ns, start_ns))
    if end_ns is not None:
        spans = spans._replace(until_ns=np.full_like(spans.until_ns, end_ns))
    partial = _partial(folded, spans, extended=extended)
    return Bars(folded, bars.gaps, _expected(bars, resolution), partial)


class _CompleteSpans(NamedTuple):
    """Complete span of each symbol of a block, by symbol code."""

    since_ns: Instants
    until_ns: Instants


def _filtered(bars: Bars, *, extended: bool) -> Bars:
    """Drop repeated bars, without `extended` also those outside the regular session, and sort."""
    with_partial = bars.block.with_columns(partial=bars.partial)
    columns = dict(resample(with_partial, bars.resolution, extended=extended).columns)
    partial = columns.pop("partial")
    return Bars(bars.block.replace(columns), bars.gaps, bars.expected, partial)


def _complete_spans(bars: Bars) -> _CompleteSpans:
    """Return the span from the first to the last bar of each symbol that is not partial."""
    block = bars.block.take(~bars.partial)
    symbols = len(block.symbols)
    spans = _CompleteSpans(np.full(symbols, LATEST_NS), np.full(symbols, -LATEST_NS))
    np.minimum.at(spans.since_ns, block["symbol"], block["start_ns"])
    np.maximum.at(spans.until_ns, block["symbol"], block.end_ns)
    for code in np.unique(block["symbol"]).tolist():
        since_ns = int(spans.since_ns[code])
        spans.since_ns[code] = complete_since(block.symbols[code], block.resolution, since_ns)
    return spans


def _expected(bars: Bars, resolution: Resolution) -> int:
    """
    Return the number of longer bars expected in the span of the shorter ones; 0 if unknown.

    `Bars` do not hold the requested span. It is the span from the first to the last longer bar if
    the number of expected shorter bars fits that; else it is unknown.
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


def _partial(folded: Block, spans: _CompleteSpans, *, extended: bool) -> npt.NDArray[np.bool_]:
    """
    Return which bars have trading time outside the complete span of their symbol.

    Minutes without a trade in between do not make a bar partial: only the first and the last bar
    of a symbol can be.
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
            partial[row] = spans.since_ns[code] > since_ns or spans.until_ns[code] < until_ns
    return partial
