"""TradeBar and QuoteBar."""

from datetime import UTC, datetime

import msgspec

from lean_lite.model.resolution import Resolution
from lean_lite.model.timestamps import utc


# Bars refer to nothing that could refer to them: the garbage collector need not visit them (gc).
class TradeBar(msgspec.Struct, frozen=True, gc=False):
    """
    The trades of one symbol over one span of time.

    Attributes:
        symbol: symbol, such as `AAPL`, `BRK.B` or `BTC/USD`.
        timestamp: start of the bar. A naive one is local time, as in Python; it is always stored
            as aware UTC.
        open: price of the first trade, in the quote currency.
        high: highest price.
        low: lowest price.
        close: price of the last trade.
        volume: traded quantity, in shares or units of the base currency.
        vwap: volume-weighted average price; None if the feed has none.
        trade_count: number of trades; None if the feed has none.
        resolution: length of the bar.

    Raises:
        TypeError: the timestamp is not a datetime.
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
        """Convert the start to aware UTC."""
        start = self.timestamp
        if type(start) is not datetime or start.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(start))


class QuoteBar(msgspec.Struct, frozen=True, gc=False):
    """
    The best bid and ask of one symbol over one span of time.

    Attributes:
        symbol: symbol, such as `AAPL`, `BRK.B` or `BTC/USD`.
        timestamp: start of the bar, as in `TradeBar`.
        bid_open: best bid at the start, in the quote currency; 0 if there is none.
        bid_high: highest best bid.
        bid_low: lowest best bid.
        bid_close: best bid at the end.
        ask_open: best ask at the start; 0 if there is none.
        ask_high: highest best ask.
        ask_low: lowest best ask.
        ask_close: best ask at the end.
        bid_size: quantity at the best bid at the end.
        ask_size: quantity at the best ask at the end.
        resolution: length of the bar.

    Raises:
        TypeError: the timestamp is not a datetime.
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
        """Convert the start to aware UTC."""
        start = self.timestamp
        if type(start) is not datetime or start.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(start))
