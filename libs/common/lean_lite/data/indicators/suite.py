"""Indicators: thirteen usual indicator lines together."""

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

# The state of each indicator.
type SuiteState = tuple[Any, ...]


class Indicators(Indicator[SuiteState]):
    """
    Thirteen indicator lines by name, with the values of the single indicators.

    `sma_20`, `sma_50`, `ema_12`, `ema_26`, `macd`, `macd_signal`, `macd_hist` (12, 26, 9), `rsi`
    (14), `bollinger_upper`, `bollinger_middle`, `bollinger_lower` (20, 2), `atr` (14) and `vwap`.
    """

    def __init__(self) -> None:
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
        """
        Add the next bar, or a correction of the last one.

        Args:
            bar: bar of the same symbol and resolution as before, not older than the last one.

        Returns:
            The current value of each line by name; NaN during its warm-up.

        Raises:
            ValueError: the bar is older than the last one, or of another symbol or resolution.
        """
        return dict(zip(NAMES, self._update(bar), strict=True))

    def over(self, bars: Sequence[TradeBar]) -> dict[str, Floats]:
        """
        Compute all lines over history, without changing the state of `update`.

        Args:
            bars: bars of one symbol and one resolution.

        Returns:
            float64 arrays of shape (n,) by name, the values at each bar.

        Raises:
            ValueError: the bars are of several symbols or resolutions.
        """
        return dict(zip(NAMES, self._over(bars), strict=True))

    def step(self, state: SuiteState, bar: TradeBar) -> tuple[SuiteState, tuple[float, ...]]:
        """Return the state after a bar, and all values."""
        steps = [part.step(one, bar) for part, one in zip(self._parts, state, strict=True)]
        states, values = zip(*steps, strict=True)
        return states, tuple(chain.from_iterable(values))

    def lines(self, block: Block) -> tuple[Floats, ...]:
        """Return all values at each bar."""
        return tuple(chain.from_iterable(part.lines(block) for part in self._parts))
