"""Volume-weighted average price of the trading day."""

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

# The end of the trading day, and its traded value and volume so far.
type VWAPState = tuple[datetime, float, float]


class VWAP(Line[VWAPState]):
    """
    Volume-weighted average price of the trading day so far: VWAP = sum(P * V) / sum(V).

    P of a bar is its own VWAP, or (high + low + close) / 3 where the feed has none. Source:
    Berkowitz, Logue and Noser, "The Total Cost of Transactions on the NYSE", 1988. The sums are
    reset at midnight in New York for equities, at midnight UTC for crypto and at 17:00 in New York
    for forex. The value is NaN before any volume, and for the rest of a day after a price or
    volume that is not finite.
    """

    def __init__(self) -> None:
        super().__init__((datetime.min.replace(tzinfo=UTC), 0.0, 0.0))

    def step(self, state: VWAPState, bar: TradeBar) -> tuple[VWAPState, tuple[float]]:
        """Return the state after a bar, and the price."""
        end, value, volume = state
        if bar.timestamp >= end:
            end, value, volume = _trading_day_end(bar), 0.0, 0.0
        if bar.volume:
            value += _price(bar) * bar.volume
            volume += bar.volume
        return (end, value, volume), (value / volume if volume else nan,)

    def lines(self, block: Block) -> tuple[Floats]:
        """Return the price at each bar."""
        volume = block["volume"]
        value = np.where(volume == 0, 0.0, _prices(block) * volume)
        volume = volume.copy()
        for day in _trading_days(block):
            # One sum per day, so that rounding errors do not reach the next one.
            np.cumsum(value[day], out=value[day])
            np.cumsum(volume[day], out=volume[day])
        return (np.divide(value, volume, out=np.full(len(block), nan), where=volume != 0),)


def _price(bar: TradeBar) -> float:
    """Return the VWAP of a bar, or its typical price."""
    if bar.vwap is None or isnan(bar.vwap):
        return (bar.high + bar.low + bar.close) / 3
    return bar.vwap


def _prices(block: Block) -> Floats:
    vwap = block["vwap"]
    typical = (block["high"] + block["low"] + block["close"]) / 3
    prices: Floats = np.where(np.isnan(vwap), typical, vwap)
    return prices


def _trading_day_end(bar: TradeBar) -> datetime:
    buckets = TimeBuckets(asset_class_of(bar.symbol), DAY_S)
    return from_ns(buckets.end(buckets.start(to_ns(bar.timestamp))))


def _trading_days(block: Block) -> list[slice]:
    """Return the rows of each trading day."""
    if not len(block):
        return []
    symbol = block.symbols[int(block["symbol"][0])]
    days = TimeBuckets(asset_class_of(symbol), DAY_S).starts(block["start_ns"])
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(block)]
    return list(starmap(slice, pairwise(edges)))
