"""Bars, their resolution and their quality: the types that a strategy handles."""

from datetime import UTC, datetime

import msgspec

from lean_lite.model.resolution import Resolution
from lean_lite.model.timestamps import utc


# Bars hold nothing that could hold them: the collector need not look at many of them.
class TradeBar(msgspec.Struct, frozen=True, gc=False):
    """
    Hold the trades of one span of time.

    `timestamp` is the start of the bar; it may be given naive (local time, as in Python) and is
    always aware UTC afterwards. `vwap` and `trade_count` are None when the feed has none.
    """

    symbol: str
    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None = None
    trade_count: int | None = None
    resolution: Resolution = Resolution.MINUTE

    def __post_init__(self) -> None:
        """Make the start aware UTC."""
        moment = self.timestamp
        if type(moment) is not datetime or moment.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(moment))


class QuoteBar(msgspec.Struct, frozen=True, gc=False):
    """
    Hold the best bid and ask of one span of time.

    `timestamp` is the start of the bar, aware UTC as in `TradeBar`; sizes are those at its end.
    """

    symbol: str
    timestamp: datetime
    bid_open: float
    bid_high: float
    bid_low: float
    bid_close: float
    ask_open: float
    ask_high: float
    ask_low: float
    ask_close: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    resolution: Resolution = Resolution.MINUTE

    def __post_init__(self) -> None:
        """Make the start aware UTC."""
        moment = self.timestamp
        if type(moment) is not datetime or moment.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(moment))
