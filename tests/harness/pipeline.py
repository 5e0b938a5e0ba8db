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
from lean_lite.protocol.partitions import Lane
from lean_lite.protocol.subjects import GRADED, RAW
from lean_lite.stack import SimulatorOptions, Stack
from tests.harness.gradings import graded_up_to
from tests.harness.waiting import until

SYMBOLS = ("SPY", "AAPL", "BTC/USD")
VALUES = ("open", "high", "low", "close", "volume")


class Strategy:
    """One strategy process and the bars that it received."""

    def __init__(self, config: Config, symbols: tuple[str, ...] = SYMBOLS) -> None:
        self.bars: list[TailBar] = []
        self.process = StrategyProcess(symbols, config, self.bars.append)

    async def wait_for_bars(self, more_than: int = 0, limit_s: float = 30.0) -> None:
        """Wait until it has received more than so many bars."""
        await until(lambda: len(self.bars) > more_than, f"more than {more_than} bars", limit_s)

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

    async def settle(self, limit_s: float = 60.0) -> None:
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
        """Return the last GRADED sequence of every lane, once its last RAW frame is graded."""
        admin = await connect(self.stack.bus_config("admin"), "admin", name="test")
        try:
            for subject, seq in (await _last_seqs(admin, RAW, "md.raw.>")).items():
                lane = Lane.from_subject(subject)

                async def reached(lane: Lane = lane, seq: int = seq) -> bool:
                    return await graded_up_to(admin, lane) >= seq

                await until(reached, f"lane {lane} to grade RAW {seq}")
            seqs = await _last_seqs(admin, GRADED, "md.graded.>")
            return {subject.removeprefix("md.graded."): seq for subject, seq in seqs.items()}
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
        strategy = self.strategies[0]
        await strategy.wait_for_bars(len(strategy.bars))

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
        stored = await self.history()
        for strategy in self.strategies:
            for symbol, block in stored.items():
                starts = [bar.start_ns for bar in strategy.of(symbol)]
                assert sorted(starts) == block["start_ns"].tolist(), symbol
                closes = {bar.start_ns: bar.close for bar in strategy.of(symbol)}
                assert [closes[start] for start in sorted(closes)] == block["close"].tolist()


async def _last_seqs(admin: Bus, stream: str, subjects: str) -> dict[str, int]:
    """Return the last sequence of each subject of a stream."""
    info = await admin.jetstream.stream_info(stream, subjects_filter=subjects)
    return {
        subject: (await admin.jetstream.get_last_msg(stream, subject)).seq or 0
        for subject in info.state.subjects or {}
    }
