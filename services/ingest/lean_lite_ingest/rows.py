"""Row: one bar of a vendor, before it is a row of a block."""

from collections.abc import Sequence
from typing import NamedTuple

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from lean_lite.model import Resolution
from lean_lite_ingest.clock import FeedClock


class Row(NamedTuple):
    """One bar; `wall_ns` is its receipt by this machine's clock."""

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
    """Convert rows to a block; `received_ns` is in the feed's time."""
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    symbols = [str(symbol) for symbol in columns.pop("symbol")]
    columns["received_ns"] = tuple(clock.feed_ns(row.wall_ns) for row in rows)
    return from_columns(feed, symbols, columns, resolution=resolution, simulated=simulated)
