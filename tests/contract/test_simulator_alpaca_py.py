"""The real alpaca-py 0.44.0 works against the simulator over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    StockBarsRequest,
    StockLatestBarRequest,
)
from alpaca.data.timeframe import TimeFrame

from lean_lite_sim import Bar, Simulator
from lean_lite_sim.market.timestamps import MINUTE_NS
from tests.harness.simulator_clients import fast

LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
KEY: dict[str, Any] = {"api_key": "simulator", "secret_key": "simulator"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(fast()) as simulator:
        yield simulator


class Collector:
    def __init__(self, count: int) -> None:
        self.messages: list[Any] = []
        self._count = count
        self._complete = asyncio.Event()

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)
        if len(self.messages) >= self._count:
            self._complete.set()

    async def on_message(self, message: Any) -> None:
        await self(message)

    async def complete(self) -> list[Any]:
        await asyncio.wait_for(self._complete.wait(), 30)
        return self.messages


@asynccontextmanager
async def running(live: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(live._run_forever())
    try:
        yield
    finally:
        await live.stop_ws()
        await live.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reconnected(simulator: Simulator) -> None:
    while simulator.stats["connections"]["/v2/iex"]["total"] < 2:  # type: ignore[index]
        await asyncio.sleep(0.05)


def values(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("o", "h", "l", "c", "v", "n", "vw"))


def recorded(bars: list[Bar]) -> list[tuple[Any, ...]]:
    return [tuple(bar.fields().values()) for bar in bars]


def test_alpaca_py_has_the_version_that_the_protocol_was_read_from() -> None:
    assert version("alpaca-py") == "0.44.0"


async def test_the_stock_stream_delivers_the_recording(simulator: Simulator) -> None:
    live = StockDataStream(**KEY, raw_data=True, url_override=f"{simulator.stream_url}/v2/iex")
    bars, days = Collector(20), Collector(5)
    live.subscribe_bars(bars.on_message, "SPY")
    live.subscribe_daily_bars(days.on_message, "*")
    async with running(live):
        messages = await bars.complete()
        await days.complete()
    first_ns = simulator.clock.start_ns - MINUTE_NS
    expected = [bar for bar in simulator.recording("SPY") if bar.start_ns >= first_ns]
    assert [values(message) for message in messages] == recorded(expected[: len(messages)])
    assert messages[0]["t"].to_unix_nano() == first_ns


async def test_the_stock_stream_parses_bars_without_vwap(simulator: Simulator) -> None:
    live = StockDataStream(**KEY, url_override=f"{simulator.stream_url}/v2/sip")
    bars = Collector(3)
    live.subscribe_bars(bars.on_message, "*")
    async with running(live):
        (first, *_) = await bars.complete()
    assert (first.symbol, first.vwap, first.trade_count) == ("AAPL", None, None)


async def test_the_crypto_stream_delivers_fractional_volume(simulator: Simulator) -> None:
    url = f"{simulator.stream_url}/v1beta3/crypto/us"
    live = CryptoDataStream(**KEY, raw_data=True, url_override=url)
    bars = Collector(5)
    live.subscribe_bars(bars.on_message, "BTC/USD")
    async with running(live):
        messages = await bars.complete()
    first_ns = simulator.clock.start_ns - MINUTE_NS
    expected = [bar for bar in simulator.recording("BTC/USD") if bar.start_ns >= first_ns]
    assert [values(message) for message in messages] == recorded(expected[: len(messages)])


async def test_the_stream_reconnects_after_an_abort(simulator: Simulator) -> None:
    live = StockDataStream(**KEY, raw_data=True, url_override=f"{simulator.stream_url}/v2/iex")
    before = Collector(2)
    live.subscribe_bars(before.on_message, "SPY")
    async with running(live):
        await before.complete()
        simulator.arm({"abort": True})
        after = Collector(2)
        live._handlers["bars"]["SPY"] = after.on_message
        await after.complete()
        await reconnected(simulator)
        again = Collector(2)
        live._handlers["bars"]["SPY"] = again.on_message
        await again.complete()


async def test_the_stream_stops_on_409() -> None:
    async with Simulator(fast(feeds=frozenset({"sip"}))) as simulator:
        live = StockDataStream(**KEY, url_override=f"{simulator.stream_url}/v2/iex")
        live.subscribe_bars(Collector(1).on_message, "SPY")
        await asyncio.wait_for(live._run_forever(), 30)


@pytest.mark.parametrize("limit", [None, 777])
async def test_the_stock_client_pages_through_the_whole_recording(
    simulator: Simulator,
    limit: int | None,
) -> None:
    client = StockHistoricalDataClient(**KEY, raw_data=True, url_override=simulator.rest_url)
    request = StockBarsRequest(
        symbol_or_symbols=["SPY", "AAPL", "MSFT"],
        timeframe=TimeFrame.Minute,
        start=LONG_AGO,
        limit=limit,
    )
    bars: Any = await asyncio.to_thread(client.get_stock_bars, request)
    now_ns = simulator.clock.now_ns()
    expected = {
        symbol: [bar for bar in simulator.recording(symbol) if bar.end_ns <= now_ns]
        for symbol in ("AAPL", "SPY")
    }
    rows = [values(row) for symbol in sorted(bars) for row in bars[symbol]]
    assert rows == recorded(expected["AAPL"] + expected["SPY"])[:limit]


async def test_the_stock_client_parses_bars_and_empty_replies(simulator: Simulator) -> None:
    client = StockHistoricalDataClient(**KEY, url_override=simulator.rest_url)
    latest = await asyncio.to_thread(
        client.get_stock_latest_bar,
        StockLatestBarRequest(symbol_or_symbols="SPY"),
    )
    assert latest["SPY"].vwap is None
    request = StockBarsRequest(symbol_or_symbols="MSFT", timeframe=TimeFrame.Day, start=LONG_AGO)
    empty: Any = await asyncio.to_thread(client.get_stock_bars, request)
    assert empty.data == {}


async def test_the_crypto_client_needs_no_keys(simulator: Simulator) -> None:
    client = CryptoHistoricalDataClient(raw_data=True, url_override=simulator.rest_url)
    request = CryptoBarsRequest(
        symbol_or_symbols="BTC/USD",
        timeframe=TimeFrame.Minute,
        start=LONG_AGO,
    )
    bars: Any = await asyncio.to_thread(client.get_crypto_bars, request)
    now_ns = simulator.clock.now_ns()
    expected = [bar for bar in simulator.recording("BTC/USD") if bar.end_ns <= now_ns]
    assert [values(row) for row in bars["BTC/USD"]] == recorded(expected)
    latest: Any = await asyncio.to_thread(
        client.get_crypto_latest_bar,
        CryptoLatestBarRequest(symbol_or_symbols="BTC/USD"),
    )
    assert values(latest["BTC/USD"]) == recorded(expected)[-1]


async def test_the_client_raises_the_error_of_the_server(simulator: Simulator) -> None:
    client = StockHistoricalDataClient("simulator", "wrong", url_override=simulator.rest_url)
    request = StockLatestBarRequest(symbol_or_symbols="SPY")
    with pytest.raises(APIError, match="forbidden"):
        await asyncio.to_thread(client.get_stock_latest_bar, request)
