"""Live bars and watermarks, and the conversion of a block to live bars."""

import math

import msgspec

from lean_lite.blocks import Block, Origin
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns

# Bars of these origins are published in order of their minutes; all others are late.
IN_ORDER_ORIGINS = (Origin.LIVE, Origin.CUSTOM)
_INVALID = DataQualityLevel.INVALID.code


class LiveBar(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One graded bar, published to clients.

    Fields with their default value are left out on the wire.

    Attributes:
        symbol: symbol of the bar.
        start_ns: start of the bar, in ns since 1970 UTC.
        open: first price.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: traded quantity.
        level: code of its quality level, 0 (INVALID) to 4 (EXCELLENT).
        seq: GRADED sequence of the frame that holds it.
        feed: name of the feed.
        wall_ns: time when its frame was received, in ns since 1970 UTC by the clock of ingest; 0 if
            unknown.
        vwap: volume-weighted average price. Default: None, the feed has none.
        trade_count: number of trades. Default: None, the feed has none.
        reasons: bit mask of failed checks. Default: 0.
        origin: code of its `Origin`. Default: 0, live.
        late: whether it is a refill or a correction, out of the order of minutes. Default: no.
        simulated: whether it comes from the simulator. Default: no.
        resolution_s: length of the bar, in seconds. Default: 60.
    """

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    level: int
    seq: int
    feed: str
    wall_ns: int
    vwap: float | None = None
    trade_count: int | None = None
    reasons: int = 0
    origin: int = 0
    late: bool = False
    simulated: bool = False
    resolution_s: int = 60

    @property
    def quality(self) -> DataQualityLevel:
        """Quality level of the bar."""
        return DataQualityLevel.from_code(self.level)

    @property
    def is_valid(self) -> bool:
        """Whether the bar is graded better than INVALID."""
        return self.level != _INVALID

    def bar(self) -> TradeBar:
        """Convert the record to a bar, without its grade."""
        return TradeBar(
            self.symbol,
            from_ns(self.start_ns),
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.vwap,
            self.trade_count,
            Resolution.from_seconds(self.resolution_s),
        )


def live_bars(
    block: Block, *, seq: int | None = None, wall_ns: int = 0, late: bool = False
) -> list[LiveBar]:
    """
    Convert the rows of a graded block to live records.

    `seq` is the GRADED sequence of its frame; without it the block has a column `seq`. `late` marks
    all records as late, whatever their origin.
    """
    seqs = block["seq"].tolist() if seq is None else [seq] * len(block)
    names = ("start_ns", *block.kind.values, "level", "reasons", "origin")
    rows = zip(block.symbol_names, seqs, *(block[n].tolist() for n in names), strict=True)
    return [
        LiveBar(
            symbol,
            start_ns,
            opened,
            high,
            low,
            close,
            volume,
            level,
            frame_seq,
            block.feed,
            wall_ns,
            None if math.isnan(vwap) else vwap,
            None if count < 0 else count,
            reasons,
            origin,
            late or origin not in IN_ORDER_ORIGINS,
            block.simulated,
            block.resolution.seconds,
        )
        for (
            symbol,
            frame_seq,
            start_ns,
            opened,
            high,
            low,
            close,
            volume,
            vwap,
            count,
            level,
            reasons,
            origin,
        ) in rows
    ]


class Watermark(msgspec.Struct, frozen=True):
    """
    Every live record of a lane up to a frame has been published.

    It shows a client which frames or records it has not received, since core NATS may drop
    messages; the client requests them from the store.

    Attributes:
        seq: GRADED sequence of the frame.
        prev_seq: GRADED sequence of the frame before it in the lane.
        rows: maps each symbol of the frame to its number of records. Default: empty.
    """

    seq: int
    prev_seq: int
    rows: dict[str, int] = {}
