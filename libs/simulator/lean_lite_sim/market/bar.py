"""Bar: one minute of one symbol."""

from typing import NamedTuple

from lean_lite_sim.market.timestamps import MINUTE_NS


class Bar(NamedTuple):
    """
    A minute of trades, labelled by its start in nanoseconds since 1970 (UTC).

    Prices are in dollars. Volume is an int of shares for stocks and a float of coins for crypto.
    `trade_count` and `vwap` are None where the recording has none.
    """

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int | None = None
    vwap: float | None = None

    @property
    def end_ns(self) -> int:
        """The end of the minute."""
        return self.start_ns + MINUTE_NS

    def fields(self) -> dict[str, float | None]:
        """Return the values by Alpaca's one-letter names, without symbol and time."""
        return {
            "o": self.open,
            "h": self.high,
            "l": self.low,
            "c": self.close,
            "v": self.volume,
            "n": self.trade_count,
            "vw": self.vwap,
        }
