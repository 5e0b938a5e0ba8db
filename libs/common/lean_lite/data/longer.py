"""Bars made into longer ones, with what is known of their span."""

from lean_lite.algorithm.data_models import Resolution
from lean_lite.blocks.resample import known_spans, partial_rows, resample
from lean_lite.data.bars import Bars
from lean_lite.market.buckets import Buckets
from lean_lite.market.calendar import calendar_of
from lean_lite.market.symbols import asset_class_of

HOUR_S = 3_600
DAY_S = 86_400


def longer(
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
    last. ValueError when the bars do not add up to the resolution.
    """
    folded = resample(bars.block, resolution, extended=extended)
    since_ns, until_ns = known_spans(bars.block)
    if start_ns is not None:
        since_ns = dict.fromkeys(since_ns, start_ns)
    if end_ns is not None:
        until_ns = dict.fromkeys(until_ns, end_ns)
    partial = partial_rows(folded, since_ns, until_ns, extended=extended)
    return Bars(folded, bars.gaps, partial=partial)


def expected_of(symbol: str, resolution: Resolution, start_ns: int, end_ns: int) -> int:
    """Return how many bars that hold regular trading start in a span."""
    asset_class = asset_class_of(symbol)
    length_s = resolution.seconds
    if length_s == DAY_S or HOUR_S % length_s == 0:
        return calendar_of(asset_class).expected(start_ns, end_ns, length_s)
    return Buckets(asset_class, length_s).expected(start_ns, end_ns)
