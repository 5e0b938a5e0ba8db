"""Turn Alpaca's bars, off the socket or from REST, into rows and blocks."""

from collections.abc import Sequence
from typing import NamedTuple

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from lean_lite.model import Resolution
from lean_lite_ingest.clock import FeedClock


class Row(NamedTuple):
    """Hold one bar of the wire; `wall_ns` is when it came in, by this machine's clock."""

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    origin: int
    wall_ns: int


def to_block(
    rows: Sequence[Row],
    feed: str,
    clock: FeedClock,
    resolution: Resolution = Resolution.MINUTE,
    *,
    simulated: bool,
) -> Block:
    """Return rows as a block, with the feed's time of their arrival."""
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    symbols = [str(symbol) for symbol in columns.pop("symbol")]
    columns["received_ns"] = tuple(clock.feed_ns(row.wall_ns) for row in rows)
    return from_columns(feed, symbols, columns, resolution=resolution, simulated=simulated)
