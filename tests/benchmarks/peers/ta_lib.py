"""
TA-Lib's functions over a year of minutes; it has no VWAP.

Runs in the peers' environment. Arrays are made beforehand.
"""

import asyncio
from typing import Any

import numpy as np
import talib

from tests.benchmarks.shared import market
from tests.benchmarks.shared.turns import Watch, serve


class Year:
    """Hold the bars as arrays."""

    def __init__(self) -> None:
        rows = list(market.year())
        self._high, self._low, self._close = (
            np.array([getattr(row, name) for row in rows]) for name in ("high", "low", "close")
        )

    async def over(self, times: int) -> dict[str, Any]:
        watch = Watch()
        for _ in range(times):
            lines = self._lines()
        elapsed = watch.stop()
        values = {name: line[market.SAMPLED].tolist() for name, line in lines.items()}
        return elapsed._asdict() | {"lines": values, "versions": {"TA-Lib": talib.__version__}}

    def _lines(self) -> dict[str, Any]:
        close = self._close
        macd, signal, histogram = talib.MACD(close)
        upper, middle, lower = talib.BBANDS(close, 20)
        return {
            "sma_20": talib.SMA(close, 20),
            "sma_50": talib.SMA(close, 50),
            "ema_12": talib.EMA(close, 12),
            "ema_26": talib.EMA(close, 26),
            "macd": macd,
            "macd_signal": signal,
            "macd_hist": histogram,
            "rsi": talib.RSI(close, 14),
            "bollinger_upper": upper,
            "bollinger_middle": middle,
            "bollinger_lower": lower,
            "atr": talib.ATR(self._high, self._low, close, 14),
        }


async def main() -> None:
    await serve(over=Year().over)


if __name__ == "__main__":
    asyncio.run(main())
