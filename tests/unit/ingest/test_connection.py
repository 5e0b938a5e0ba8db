"""A connection whose stream is driven by the test."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from nats.aio.client import Client

from lean_lite.bus import Bus
from lean_lite.config import BusConfig
from lean_lite_ingest import connection
from lean_lite_ingest.clock import FeedClock, WallClock
from lean_lite_ingest.connection import FeedConnection
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import BarHistory, StreamHooks, SymbolCheck


class Stream:
    """A stream without a vendor."""

    connect_error = ""

    def __init__(self) -> None:
        self.symbols: set[str] = set()
        self.refusal = ""
        self._refused = asyncio.Event()

    def refuse(self, reason: str) -> None:
        self.refusal = reason
        self._refused.set()

    async def run_connected(self) -> None:
        await self._refused.wait()

    def add_symbols(self, symbols: Collection[str]) -> None:
        self.symbols |= {*symbols}

    async def subscribe_all(self) -> None:
        pass

    async def remove_symbols(self, symbols: Collection[str]) -> None:
        self.symbols -= {*symbols}


class Source:
    """A feed of a vendor that has only a stream."""

    vendor, feed, asset_class, simulated = "Vendor", "iex", "equity", False
    history: BarHistory
    symbols: SymbolCheck

    def __init__(self) -> None:
        self.clock: FeedClock = WallClock()
        self.stream = Stream()

    def open_stream(self, hooks: StreamHooks) -> Stream:
        assert isinstance(hooks, FeedConnection)
        return self.stream


class Listener:
    """The events of a connection."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        self.events.append((rows, wall_ns))

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        self.events.append(set(symbols))

    def on_connected(self) -> None:
        self.events.append("connected")

    def on_disconnected(self) -> None:
        self.events.append("disconnected")


class Setup:
    def __init__(self) -> None:
        self.source = Source()
        self.listener = Listener()
        bus = Bus(Client(), BusConfig())
        self.connection = FeedConnection(bus, self.source, self.listener)

    async def subscribe(self, *symbols: str) -> asyncio.Task[str]:
        """Start a subscription that waits for its reply."""
        task = asyncio.create_task(self.connection.subscribe(symbols))
        await asyncio.sleep(0)
        assert not task.done()
        return task


async def test_a_confirmed_subscription_is_accepted() -> None:
    setup = Setup()
    reply = await setup.subscribe("SPY")
    setup.connection.on_subscribed(frozenset({"SPY", "AAPL"}))
    assert not await reply
    assert setup.source.stream.symbols == {"SPY"}


async def test_an_error_refuses_a_subscription_and_removes_its_symbols() -> None:
    setup = Setup()
    setup.connection.add_symbols(["AAPL"])
    reply = await setup.subscribe("SPY")
    setup.connection.on_error("symbol limit exceeded (405)")
    assert await reply == "symbol limit exceeded (405)"
    assert setup.source.stream.symbols == {"AAPL"}


async def test_an_error_before_a_subscription_does_not_refuse_it() -> None:
    setup = Setup()
    setup.connection.on_error("odd (499)")
    reply = await setup.subscribe("SPY")
    setup.connection.on_subscribed(frozenset({"SPY"}))
    assert not await reply


async def test_a_refused_account_refuses_a_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup()

    async def publish_state(*_: object) -> None:
        pass

    monkeypatch.setattr(setup.connection, "publish_state", publish_state)
    running = asyncio.create_task(setup.connection.run())
    reply = await setup.subscribe("SPY")
    setup.source.stream.refuse("auth failed (402)")
    assert await reply == "auth failed (402)"
    assert setup.connection.refusal == "auth failed (402)"
    running.cancel()


async def test_a_subscription_without_a_reply_is_accepted_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "REPLY_TIMEOUT_S", 0.01)
    setup = Setup()
    assert not await setup.connection.subscribe(["SPY"])
    assert setup.source.stream.symbols == {"SPY"}


async def test_a_connection_is_connected_from_its_first_confirmed_subscription() -> None:
    setup = Setup()
    for _ in range(2):
        setup.connection.on_subscribed(frozenset({"SPY"}))
        setup.connection.on_subscribed(frozenset({"SPY", "AAPL"}))
        assert setup.connection.connected
        setup.connection.on_disconnected()
        assert not setup.connection.connected
    once = [{"SPY"}, "connected", {"SPY", "AAPL"}, "disconnected"]
    assert setup.listener.events == once * 2
    assert setup.connection.disconnects == 2
