"""Live records and watermarks."""

import math

import msgspec

from lean_lite.blocks import Block, Origin
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns

# Bars of these origins come in the order of their minutes; all others are late.
IN_ORDER_ORIGINS = (Origin.LIVE, Origin.CUSTOM)
_INVALID = DataQualityLevel.INVALID.code


class LiveBar(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Carry one graded bar to strategies.

    `seq` is the sequence of its frame in GRADED; `late` marks refills and corrections; `reasons`
    is the bit mask of failed checks.
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
        """Return the grade."""
        return DataQualityLevel.from_code(self.level)

    @property
    def is_valid(self) -> bool:
        """Whether the bar is graded better than INVALID."""
        return self.level != _INVALID

    def bar(self) -> TradeBar:
        """Return the bar without its grade."""
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
    Return the rows of a graded block as live records.

    `seq` is the sequence of its GRADED frame; without it the block's own column says so.
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
            of_frame,
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
            of_frame,
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
    Say that every live record of a lane up to `seq` has been published.

    `prev_seq` is the frame before, and `rows` how many records of each symbol the frame has: a
    reader who lacks one of them has missed something.
    """

    seq: int
    prev_seq: int
    rows: dict[str, int] = {}
