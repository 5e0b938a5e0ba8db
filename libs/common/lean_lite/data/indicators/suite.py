"""The usual indicators together."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from lean_lite.blocks import Block
from lean_lite.data.indicators.atr import ATR
from lean_lite.data.indicators.base import Indicator
from lean_lite.data.indicators.bollinger import Bollinger
from lean_lite.data.indicators.ema import EMA
from lean_lite.data.indicators.macd import MACD
from lean_lite.data.indicators.numeric import Floats
from lean_lite.data.indicators.rsi import RSI
from lean_lite.data.indicators.sma import SMA
from lean_lite.data.indicators.vwap import VWAP
from lean_lite.model import TradeBar

NAMES = (
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "macd",
    "macd_signal",
    "macd_hist",
    "rsi",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "atr",
    "vwap",
)


# What each of them knows.
type States = tuple[Any, ...]


class Indicators(Indicator[States]):
    """
    Follow thirteen lines at once, by name, each as its own indicator has it.

    SMA of 20 and 50 bars, EMA of 12 and 26, MACD, RSI of 14, Bollinger, ATR of 14, and VWAP.
    """

    def __init__(self) -> None:
        """Begin with each of them."""
        self._parts: tuple[Indicator[Any], ...] = (
            SMA(20),
            SMA(50),
            EMA(12),
            EMA(26),
            MACD(),
            RSI(),
            Bollinger(),
            ATR(),
            VWAP(),
        )
        super().__init__(tuple(part.start for part in self._parts))

    def update(self, bar: TradeBar) -> dict[str, float]:
        """Take the next bar, or another version of the last one; return the values now."""
        return dict(zip(NAMES, self._update(bar), strict=True))

    def over(self, bars: Sequence[TradeBar]) -> dict[str, Floats]:
        """Return the values at each bar of history; what `update` knows stays as it is."""
        return dict(zip(NAMES, self._over(bars), strict=True))

    def step(self, state: States, bar: TradeBar) -> tuple[States, tuple[float, ...]]:
        """Return what is known after a bar, and all values."""
        steps = [part.step(known, bar) for part, known in zip(self._parts, state, strict=True)]
        states, values = zip(*steps, strict=True)
        return states, tuple(chain.from_iterable(values))

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return all values at each bar."""
        return tuple(chain.from_iterable(part.lines(block) for part in self._parts))
