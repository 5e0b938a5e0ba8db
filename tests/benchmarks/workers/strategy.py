"""
An engine with one callback, in a process of its own: `strategy.py SYMBOLS`.

`inside` gives messages to what the NATS client calls for them; `wire` lets a publisher process send
them through a nats-server. Both end with the callback's last bar.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from nats.aio.msg import Msg

from lean_lite.config import BusConfig, Config
from lean_lite.config.sections import Secret
from lean_lite.data import DataEngine
from lean_lite.model import DataQualityLevel, TradeBar
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol.permissions import ADMIN
from lean_lite.stack.credentials import new_passwords
from lean_lite.stack.processes.brokers import NatsServer
from lean_lite.stack.processes.child import stop_children
from tests.benchmarks.shared.child import Child, child
from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.market import digest
from tests.benchmarks.shared.turns import Elapsed, Watch, serve
from tests.benchmarks.workers.tape import BURST, Tape

START_S = 20.0
DELIVERY_S = 60.0
CLIENT = "client"


class Strategy:
    """Keep every bar that the callback gets."""

    def __init__(self, engine: DataEngine, tape: Tape, publisher: Child, server_pid: int) -> None:
        self._engine = engine
        self._tape = tape
        self._publisher = publisher
        self._server = psutil.Process(server_pid)
        self._bars: list[TradeBar] = []
        self._wanted = 0
        self._complete = asyncio.Event()
        engine.add_data_callback(self._on_bar)

    def _on_bar(self, symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        self._bars.append(bar)
        if len(self._bars) == self._wanted:
            self._complete.set()

    async def inside(self, first: int, minutes: int) -> dict[str, Any]:
        """Deliver minutes within this process."""
        bus = self._engine._bus
        assert bus is not None
        handlers: dict[str, list[Any]] = {}
        for subscription in bus.connection._subs.values():
            handlers.setdefault(subscription.subject, []).append(subscription._cb)
        calls = [
            (handler, Msg(bus.connection, subject, data=payload))
            for subject, payload in self._tape.messages(first, minutes)
            for handler in handlers[subject]
        ]
        self._expect(minutes)
        watch = Watch()
        for number, (handler, message) in enumerate(calls):
            await handler(message)
            if number % BURST == 0:
                await asyncio.sleep(0)
        await self._completed()
        return self._told(watch.stop(), {})

    async def wire(self, first: int, minutes: int) -> dict[str, Any]:
        """Deliver minutes through the server; CPU time is that of all three processes."""
        await self._order("prepare", symbols=len(self._tape.symbols), first=first, minutes=minutes)
        self._expect(minutes)
        server_s = sum(self._server.cpu_times()[:2])
        watch = Watch()
        publishing = asyncio.create_task(self._order("publish"))
        await self._completed()
        elapsed = watch.stop()
        published = await publishing
        parts = {
            "strategy": elapsed.cpu_s,
            "publisher": published["cpu_s"],
            "nats-server": sum(self._server.cpu_times()[:2]) - server_s,
        }
        return self._told(Elapsed(sum(parts.values()), elapsed.wall_s), parts)

    def _expect(self, minutes: int) -> None:
        self._bars.clear()
        self._complete.clear()
        self._wanted = minutes * len(self._tape.symbols)

    async def _completed(self) -> None:
        try:
            async with asyncio.timeout(DELIVERY_S):
                await self._complete.wait()
        except TimeoutError as error:
            message = f"{len(self._bars)} of {self._wanted} bars came within {DELIVERY_S:g} s"
            raise BenchmarkError(message) from error

    async def _order(self, turn: str, **wanted: int) -> dict[str, Any]:
        return await asyncio.to_thread(self._publisher.turn, turn, **wanted)

    def _told(self, elapsed: Elapsed, parts: dict[str, float]) -> dict[str, Any]:
        rows = [(b.symbol, to_ns(b.timestamp), *_prices(b)) for b in self._bars]
        told = {"bars": len(rows), "digest": digest(rows), "cpu_s_by_process": parts}
        return elapsed._asdict() | told


def _prices(bar: TradeBar) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


@asynccontextmanager
async def strategy(symbols: int) -> AsyncIterator[Strategy]:
    """Start a nats-server, a publisher and an engine that follows the symbols."""
    passwords, tape = new_passwords(), Tape(symbols)
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), passwords)
        await server.start(limit_s=START_S)
        try:
            with child(sys.executable, "tests.benchmarks.workers.publisher") as publisher:
                publisher.turn("join", url=server.url, password=passwords[ADMIN])
                bus = BusConfig(url=server.url, user=CLIENT, password=Secret(passwords[CLIENT]))
                async with DataEngine(Config(bus=bus)) as engine:
                    made = Strategy(engine, tape, publisher, server.child.pid)
                    for symbol in tape.symbols:
                        await engine.subscribe_symbol(symbol)
                    yield made
        finally:
            await stop_children([server.child], limit_s=5)


async def main(symbols: int) -> None:
    async with strategy(symbols) as made:
        await serve(inside=made.inside, wire=made.wire)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
