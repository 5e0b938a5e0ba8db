"""
NautilusTrader's data engine with one subscriber for every bar type: `nautilus.py SYMBOLS`.

Runs in the peers' environment. Bars, or their bytes, are made beforehand.
"""

import asyncio
import sys
from typing import Any

import msgspec
from nautilus_trader import __version__
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus, TestClock
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.serialization.serializer import MsgSpecSerializer

from tests.benchmarks.shared import market
from tests.benchmarks.shared.turns import Elapsed, Watch, serve

TRADER = TraderId("BENCHMARK-001")
DELIVERY_S = 60.0
BURST = 100


class Peer:
    """Keep every bar that the subscriber gets."""

    def __init__(self, count: int) -> None:
        self._symbols = market.symbols(count)
        self._types = {
            symbol: BarType.from_str(f"{symbol}.XNAS-1-MINUTE-LAST-EXTERNAL")
            for symbol in self._symbols
        }
        self._bars: list[Bar] = []
        self._wanted = 0
        self._complete = asyncio.Event()

    def _on_bar(self, bar: Bar) -> None:
        self._bars.append(bar)
        if len(self._bars) == self._wanted:
            self._complete.set()

    async def process(self, first: int, minutes: int) -> dict[str, Any]:
        """Hand bars to the engine of backtests, which calls the subscriber at once."""
        bars = self._made(first, minutes)
        engine = self._engine()
        watch = Watch()
        for bar in bars:
            engine.process(bar)
        return self._told(watch.stop(), engine)

    async def live(self, first: int, minutes: int) -> dict[str, Any]:
        """Hand bars to the engine of live trading, which has a queue of its own."""
        bars = self._made(first, minutes)
        clock = LiveClock()
        bus = self._bus(clock)
        engine = LiveDataEngine(asyncio.get_running_loop(), bus, Cache(), clock)
        engine.start()
        watch = Watch()
        for number, bar in enumerate(bars):
            engine.process(bar)
            if number % BURST == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(DELIVERY_S):
            await self._complete.wait()
        return self._told(watch.stop(), engine)

    async def wire(self, first: int, minutes: int) -> dict[str, Any]:
        """Decode bars from the bytes of its own serializer, and hand them to the engine."""
        serializer = MsgSpecSerializer(encoding=msgspec.msgpack)
        payloads = [serializer.serialize(bar) for bar in self._made(first, minutes)]
        engine = self._engine()
        watch = Watch()
        for payload in payloads:
            engine.process(serializer.deserialize(payload))
        return self._told(watch.stop(), engine)

    def _made(self, first: int, minutes: int) -> list[Bar]:
        self._bars.clear()
        self._complete.clear()
        rows = market.minutes(self._symbols, first, minutes)
        bars = [self._bar(row) for row in rows]
        self._wanted = len(bars)
        return bars

    def _bar(self, row: market.Row) -> Bar:
        prices = (Price(price, 2) for price in (row.open, row.high, row.low, row.close))
        volume = Quantity(row.volume, 0)
        return Bar(self._types[row.symbol], *prices, volume, row.start_ns, row.start_ns)

    def _engine(self) -> DataEngine:
        clock = TestClock()
        engine = DataEngine(self._bus(clock), Cache(), clock)
        engine.start()
        return engine

    def _bus(self, clock: LiveClock | TestClock) -> MessageBus:
        bus = MessageBus(TRADER, clock)
        for bar_type in self._types.values():
            bus.subscribe(f"data.bars.{bar_type}", self._on_bar)
        return bus

    def _told(self, elapsed: Elapsed, engine: DataEngine) -> dict[str, Any]:
        engine.stop()
        rows = [
            (
                bar.bar_type.instrument_id.symbol.value,
                bar.ts_event,
                *(float(price) for price in (bar.open, bar.high, bar.low, bar.close)),
                float(bar.volume),
            )
            for bar in self._bars
        ]
        versions = {"nautilus_trader": __version__}
        told = {"bars": len(rows), "digest": market.digest(rows), "versions": versions}
        return elapsed._asdict() | told


async def main(symbols: int) -> None:
    peer = Peer(symbols)
    await serve(process=peer.process, live=peer.live, wire=peer.wire)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
