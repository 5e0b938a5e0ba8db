"""A complete pipeline on this machine, and checks against the simulator's recording."""

import asyncio
import os
import signal
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from lean_lite.blocks import Block, concat
from lean_lite.bus import Bus, connect
from lean_lite.cli.demo.strategy_process import StrategyProcess
from lean_lite.cli.tail import TailBar
from lean_lite.config import Config
from lean_lite.data.history.client import fetch
from lean_lite.errors import BusError, RequestError
from lean_lite.protocol.history import HistoryRequest
from lean_lite.stack import SimulatorOptions, Stack

SYMBOLS = ("SPY", "AAPL", "BTC/USD")
SETTLE_S = 60.0
VALUES = ("open", "high", "low", "close", "volume")


class Strategy:
    """One strategy process and the bars that it received."""

    def __init__(self, config: Config, symbols: tuple[str, ...] = SYMBOLS) -> None:
        self.bars: list[TailBar] = []
        self.process = StrategyProcess(symbols, config, self.bars.append)

    def of(self, symbol: str) -> list[TailBar]:
        return [bar for bar in self.bars if bar.symbol == symbol]


class Pipeline:
    """Run the embedded stack on the simulator, with strategies in processes of their own."""

    def __init__(
        self,
        folder: Path,
        *,
        speed: float = 600.0,
        options: SimulatorOptions | None = None,
        strategies: int = 1,
    ) -> None:
        simulator = options or SimulatorOptions(speed=speed)
        self.stack = Stack(Config(), folder=folder, simulator=simulator)
        self.strategies: list[Strategy] = []
        self._strategy_count = strategies
        self._resources = AsyncExitStack()
        self.bus: Bus

    async def __aenter__(self) -> Self:
        await self._resources.enter_async_context(self.stack)
        self.bus = await connect(self.stack.bus_config("client"), "client", name="test")
        self._resources.push_async_callback(self.bus.close)
        config = self.stack.role_config("client")
        self.strategies = [Strategy(config) for _ in range(self._strategy_count)]
        for strategy in self.strategies:
            self._resources.push_async_callback(strategy.process.stop)
        await asyncio.gather(*(strategy.process.start() for strategy in self.strategies))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.stack.children[name].pid, number)

    async def recovered(self, name: str, restarts: int, limit_s: float = 30.0) -> None:
        """Wait until a child that was killed runs again."""
        await until(
            lambda: self.stack.restarts[name] >= restarts and self.stack.children[name].running,
            f"{name} to be started again",
            limit_s,
        )

    async def settle(self, limit_s: float = SETTLE_S) -> None:
        """End the feed, and wait until every strategy has what the store has."""
        await self.stack.stop_child("ingest")
        stored: dict[str, Block] = {}
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            try:
                stored = await self.history(await self.graded_seqs())
            except (BusError, RequestError):
                # The store may still be restarting after its last kill.
                continue
            if all(
                {bar.start_ns for bar in strategy.of(symbol)}
                >= set(stored[symbol]["start_ns"].tolist())
                for strategy in self.strategies
                for symbol in stored
            ):
                return
        held = {symbol: len(block) for symbol, block in stored.items()}
        got = [
            {symbol: len(strategy.of(symbol)) for symbol in SYMBOLS} for strategy in self.strategies
        ]
        raise AssertionError(f"strategies never caught up: store {held}, strategies {got}")

    async def graded_seqs(self) -> dict[str, int]:
        """Return the last GRADED sequence of every lane."""
        admin = await connect(self.stack.bus_config("admin"), "admin", name="test")
        try:
            info = await admin.jetstream.stream_info("GRADED", subjects_filter="md.graded.>")
            seqs = {}
            for subject in info.state.subjects or {}:
                message = await admin.jetstream.get_last_msg("GRADED", subject)
                seqs[subject.removeprefix("md.graded.")] = message.seq or 0
            return seqs
        finally:
            await admin.close()

    async def history(self, min_seq: dict[str, int] | None = None) -> dict[str, Block]:
        """Return all bars of every symbol, as `md.history` answers them."""
        request = HistoryRequest(SYMBOLS, min_seq=min_seq or {})
        snapshot = await fetch(self.bus, request, timeout_s=20)
        blocks: dict[str, list[Block]] = {}
        for block in snapshot.blocks:
            blocks.setdefault(block.symbols[0], []).append(block)
        return {symbol: concat(parts) for symbol, parts in blocks.items()}

    async def recording(self, symbol: str) -> dict[int, dict[str, Any]]:
        """Return the simulator's recorded bars by start."""
        rows = await self.ask_simulator(f"/sim/recording?symbol={symbol.replace('/', '%2F')}")
        return {row["start_ns"]: row for row in rows}

    async def ask_simulator(self, path: str) -> Any:
        url = self.stack.config.alpaca.rest_url + path
        data = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
        found = msgspec.json.decode(data)
        return found.get("bars", found) if isinstance(found, dict) else found

    async def flowing(self) -> None:
        """Wait until a strategy gets bars that it did not have."""
        bars = self.strategies[0].bars
        before = len(bars)
        await until(lambda: len(bars) > before, "another bar")

    async def refilled(self, limit_s: float = 60.0) -> None:
        """Wait until history has no gap."""
        deadline = time.monotonic() + limit_s
        missing: dict[str, int] = {}
        while time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            try:
                stored = await self.history()
            except (BusError, RequestError):
                continue
            missing = {symbol: await self._missing(block) for symbol, block in stored.items()}
            if missing.keys() == set(SYMBOLS) and not any(missing.values()):
                return
        raise AssertionError(f"gaps were never filled: {missing}")

    async def _missing(self, block: Block) -> int:
        starts: set[int] = set(block["start_ns"].tolist())
        truth = await self.recording(block.symbols[0])
        return sum(min(starts) <= start <= max(starts) for start in truth) - len(starts)

    async def check_truth(self, minimum: int) -> None:
        """Prove that history holds every recorded minute of its span, bit for bit."""
        stored = await self.history()
        assert set(stored) == set(SYMBOLS)
        for symbol, block in stored.items():
            truth = await self.recording(symbol)
            starts = block["start_ns"].tolist()
            first, last = starts[0], starts[-1]
            expected = [start for start in sorted(truth) if first <= start <= last]
            assert starts == expected, f"{symbol}: {len(starts)} stored, {len(expected)} recorded"
            assert len(starts) >= minimum
            for name in VALUES:
                recorded = [float(truth[start][name[0]]) for start in starts]
                assert block[name].tolist() == recorded, f"{symbol}: {name} differs"
            assert bool((block["level"] > 0).all())

    async def check_delivery(self) -> None:
        """Prove that every strategy got every stored bar exactly once."""
        # The last frames may be graded and stored after the last check of `settle`.
        deadline = time.monotonic() + SETTLE_S
        while wrong := self._undelivered(await self.history()):
            assert time.monotonic() < deadline, wrong
            await asyncio.sleep(0.25)

    def _undelivered(self, stored: dict[str, Block]) -> list[str]:
        """Name the strategies and symbols whose bars are not those of the store."""
        return [
            f"strategy {number}, {symbol}: {len(got)} bars, {len(block)} stored"
            for number, strategy in enumerate(self.strategies)
            for symbol, block in stored.items()
            if (got := sorted((bar.start_ns, bar.close) for bar in strategy.of(symbol)))
            != list(zip(block["start_ns"].tolist(), block["close"].tolist(), strict=True))
        ]


async def until(condition: Any, what: str, limit_s: float = 30.0) -> None:
    """Poll a condition; after a timeout, fail and name it."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        await asyncio.sleep(0.02)
