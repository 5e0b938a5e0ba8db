"""Feed backfill: complete stored bars of a user's feed from the feed itself."""

import asyncio
import logging
import time
from collections.abc import Iterable

import numpy as np

from lean_lite.blocks import Block, concat, from_bars
from lean_lite.blocks.schema import STORED
from lean_lite.data.bars import Bars
from lean_lite.data.feed import DataFeed
from lean_lite.errors import FeedError
from lean_lite.market.symbols import asset_class_of
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, from_ns, to_ns
from lean_lite.protocol.history import Gap, HistoryRequest
from lean_lite.quality import Grader

log = logging.getLogger(__name__)


async def complete_from_feed(
    stored: Bars, feed: DataFeed, request: HistoryRequest, *, timeout_s: float
) -> Bars:
    """
    Return stored bars of one symbol, with bars of the feed where none are stored.

    The feed's bars are graded as validate would grade them, and INVALID ones are left out; they
    are not stored. A feed that fails leaves a gap with the reason.

    Args:
        stored: what the store has of the request.
        feed: the user's feed.
        request: one symbol and a span.
        timeout_s: how long the feed may take, in seconds.
    """
    symbol = request.symbols[0]
    missing = missing_range(stored.block, request.start_ns, request.end_ns)
    if missing is None:
        return stored
    start_ns, end_ns = missing
    try:
        async with asyncio.timeout(timeout_s):
            returned = await feed.get_historical_data(
                symbol, from_ns(start_ns), from_ns(end_ns), stored.block.resolution
            )
        bars = _select(returned, symbol, missing, stored.block.resolution)
        own = _grade(bars, feed.name, symbol)
    except Exception as error:
        log.exception("the feed %s failed to return history of %s", feed.name, symbol)
        reason = f"the feed {feed.name} failed: {error!r}"
        gaps = (*stored.gaps, Gap(symbol, start_ns, end_ns, reason))
        return Bars(stored.block, gaps, stored.expected)
    return Bars(merge_stored_and_own(stored.block, own), stored.gaps, stored.expected)


def missing_range(block: Block, start_ns: int, end_ns: int) -> tuple[int, int] | None:
    """
    Return the smallest range that covers everything missing in a block of one symbol.

    A feed is called once, so gaps in the middle are not separate. The edges of the span are not
    missing if a bar starts less than one bar's length after them.

    Returns:
        Start and end (exclusive) in nanoseconds since 1970 (UTC), or None if nothing is missing.
    """
    step_ns = block.resolution.seconds * SECOND_NS
    starts = block["start_ns"]
    if not len(starts):
        return (start_ns, end_ns) if start_ns < end_ns else None
    breaks = np.flatnonzero(np.diff(starts) != step_ns)
    # End of the first run of bars without a break, and start of the last one.
    complete_to_ns = int(starts[breaks[0]] if len(breaks) else starts[-1]) + step_ns
    complete_from_ns = int(starts[breaks[-1] + 1] if len(breaks) else starts[0])
    first_ns = start_ns if int(starts[0]) - start_ns >= step_ns else complete_to_ns
    last_ns = end_ns if int(starts[-1]) + step_ns < end_ns else complete_from_ns
    return (first_ns, last_ns) if first_ns < last_ns else None


def merge_stored_and_own(stored: Block, own: Block) -> Block:
    """Merge two blocks in order of start; a stored row wins."""
    fresh = own.take(~np.isin(own["start_ns"], stored["start_ns"]))
    if not len(stored):
        return fresh
    if not len(fresh):
        return stored
    # Rows of the feed have no sequence and no time of storage: they are not stored.
    unstored = {name: np.zeros(len(fresh), dtype) for name, dtype in STORED.items()}
    joined = concat([stored, fresh.with_columns(**unstored)])
    return joined.take(np.argsort(joined["start_ns"], kind="stable"))


def _select(
    returned: Iterable[TradeBar], symbol: str, span: tuple[int, int], resolution: Resolution
) -> list[TradeBar]:
    """Return the bars of a span in order, the last of each start; FeedError for other bars."""
    bars = {}
    for bar in returned:
        if bar.symbol != symbol or bar.resolution != resolution:
            message = f"requested {resolution.value} bars of {symbol}, it returned {bar!r}"
            raise FeedError(message)
        if span[0] <= to_ns(bar.timestamp) < span[1]:
            bars[bar.timestamp] = bar
    return [bars[start] for start in sorted(bars)]


def _grade(bars: list[TradeBar], feed: str, symbol: str) -> Block:
    """Grade bars and leave out repeats and INVALID ones."""
    block = from_bars(bars, feed=feed, received_ns=time.time_ns())
    graded = Grader(asset_class_of(symbol)).grade(1, block).block
    good = graded.is_valid & ~graded.is_repeat
    if not good.all():
        log.warning("%d bars of %s by the feed %s are INVALID", (~good).sum(), symbol, feed)
    return graded.take(good)
