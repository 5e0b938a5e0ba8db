"""The average price of a session, weighted by volume."""

from datetime import UTC, datetime
from itertools import pairwise, starmap
from math import isnan, nan

import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.indicators.base import Line
from lean_lite.data.indicators.numeric import Floats
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import TradeBar
from lean_lite.model.timestamps import DAY_S, from_ns, to_ns

# The end of the session, and its value and volume so far.
type Turnover = tuple[datetime, float, float]


class VWAP(Line[Turnover]):
    """
    Follow the mean price of the trading day so far, weighted by volume.

    Berkowitz, Logue and Noser's (1988), the sum of price * volume over that of volume, made of
    bars: the price of a bar is its own VWAP, or (high + low + close) / 3 where the feed has none.
    It starts anew at midnight in New York for equities, at midnight UTC for crypto and at 17:00 in
    New York for forex. It is NaN before any volume, and until the end of a day in which the price
    or the volume of a bar is no number.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__((datetime.min.replace(tzinfo=UTC), 0.0, 0.0))

    def step(self, state: Turnover, bar: TradeBar) -> tuple[Turnover, tuple[float]]:
        """Return what is known after a bar, and the price."""
        end, value, volume = state
        if bar.timestamp >= end:
            end, value, volume = _session_end(bar), 0.0, 0.0
        if bar.volume:
            value += _price(bar) * bar.volume
            volume += bar.volume
        return (end, value, volume), (value / volume if volume else nan,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the price at each bar."""
        volume = block["volume"]
        value = np.where(volume == 0, 0.0, _prices(block) * volume)
        volume = volume.copy()
        for session in _sessions(block):
            # Sums of one day each, so that no day is felt in the next one.
            np.cumsum(value[session], out=value[session])
            np.cumsum(volume[session], out=volume[session])
        return (np.divide(value, volume, out=np.full(len(block), nan), where=volume != 0),)


def _price(bar: TradeBar) -> float:
    """Return the mean price of a bar, as far as it is known."""
    if bar.vwap is None or isnan(bar.vwap):
        return (bar.high + bar.low + bar.close) / 3
    return bar.vwap


def _prices(block: Block) -> Floats:
    vwap = block["vwap"]
    typical = (block["high"] + block["low"] + block["close"]) / 3
    prices: Floats = np.where(np.isnan(vwap), typical, vwap)
    return prices


def _session_end(bar: TradeBar) -> datetime:
    buckets = TimeBuckets(asset_class_of(bar.symbol), DAY_S)
    return from_ns(buckets.end(buckets.start(to_ns(bar.timestamp))))


def _sessions(block: Block) -> list[slice]:
    """Return the rows of each trading day."""
    if not len(block):
        return []
    symbol = block.symbols[int(block["symbol"][0])]
    days = TimeBuckets(asset_class_of(symbol), DAY_S).starts(block["start_ns"])
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(block)]
    return list(starmap(slice, pairwise(edges)))
