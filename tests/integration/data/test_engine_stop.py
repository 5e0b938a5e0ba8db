"""An engine can be stopped at any moment: nothing keeps running, and no call waits for long."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from lean_lite.config import BusConfig, Config
from lean_lite.data import DataEngine
from lean_lite.errors import StackError
from tests.harness.forex_feed import CustomForexFeed
from tests.harness.frames import Feeder
from tests.harness.relay import Relay
from tests.harness.waiting import until
from tests.integration.data.conftest import Engine

SYMBOLS = ("AAPL", "MSFT", "SPY")
PAIRS = tuple(f"{base}/USD" for base in ("EUR", "GBP", "AUD", "NZD", "CHF", "SEK"))


class SlowToUnsubscribe(CustomForexFeed):
    """Take a minute to unsubscribe."""

    async def unsubscribe(self, symbol: str) -> bool:
        await super().unsubscribe(symbol)
        await asyncio.sleep(60)
        return True


class SlowToConnect(CustomForexFeed):
    """Take a minute to connect."""

    async def connect(self) -> bool:
        await super().connect()
        await asyncio.sleep(60)
        return True


@pytest.fixture
async def relayed(bus_config: BusConfig, relay: Relay) -> AsyncIterator[DataEngine]:
    """Return an engine whose connection the relay can close."""
    engine = DataEngine(Config(bus=replace(bus_config, url=relay.url)))
    yield engine
    await engine.stop()


async def test_a_stop_during_subscribe_calls_leaves_nothing_running(
    pipeline: Feeder, engine: Engine
) -> None:
    running = engine()
    got: list[str] = []
    running.add_data_callback(lambda symbol, bar, quality: got.append(symbol))
    ended = 0
    before = asyncio.all_tasks()
    for moment in range(40):
        await running.start()
        calls = [asyncio.create_task(running.subscribe_symbol(symbol)) for symbol in SYMBOLS]
        calls.append(asyncio.create_task(running.live("NVDA")))  # type: ignore[arg-type]
        await asyncio.sleep(moment * 0.002)
        await running.stop()
        for result in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(result, BaseException):
                assert isinstance(result, StackError), repr(result)
                assert "await engine.start()" in str(result)
                ended += 1
        assert running.get_metrics()["engine"]["symbols"] == []
        await until(lambda: asyncio.all_tasks() <= before, "the last task")
    assert ended
    async with running:
        assert await running.subscribe_symbol("AAPL")
        await pipeline.bars("AAPL", range(3))
        await until(lambda: len(got) == 3, "bars after another start")


async def test_a_cancelled_subscribe_call_raises_cancelled_error_not_engine_stopped(
    pipeline: Feeder, engine: Engine
) -> None:
    async with engine() as running:
        for turns in range(12):
            call = asyncio.create_task(running.subscribe_symbol("AAPL"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(running.subscribe_symbol("AAPL"), 0.001)
        assert await running.subscribe_symbol("AAPL")


async def test_a_stop_waits_only_once_for_a_feed_that_does_not_unsubscribe(
    pipeline: Feeder, engine: Engine
) -> None:
    feed = SlowToUnsubscribe("slow")
    running = engine(feed)
    await running.start()
    for pair in PAIRS:
        await running.subscribe_symbol(pair)
    # One after the other would take 30 s.
    await asyncio.wait_for(running.stop(), 25)
    assert feed.calls[-1] == "disconnect"


async def test_a_stop_without_the_bus_does_not_wait_for_each_symbol(
    pipeline: Feeder, relayed: DataEngine, relay: Relay
) -> None:
    relayed.add_feed(CustomForexFeed("fx"))
    await relayed.start()
    pairs = [*PAIRS, *(f"{pair[:3]}/JPY" for pair in PAIRS), *(f"{pair[:3]}/CAD" for pair in PAIRS)]
    for pair in pairs:
        await relayed.subscribe_symbol(pair)
    await relay.close()
    await asyncio.sleep(0.5)
    await asyncio.wait_for(relayed.stop(), 30)


async def test_a_feed_that_connects_slowly_does_not_block_others(
    pipeline: Feeder, engine: Engine
) -> None:
    quick = CustomForexFeed("quick")
    async with engine(CustomForexFeed("first")) as running:
        running.add_feed(SlowToConnect("slow"))
        running.add_feed(quick)
        waiting = asyncio.create_task(running.subscribe_symbol(PAIRS[0], feed_name="slow"))
        await asyncio.sleep(0)
        assert await running.subscribe_symbol(PAIRS[1], feed_name="first")
        assert await running.subscribe_symbol(PAIRS[2], feed_name="quick")
        assert not waiting.done()
    with pytest.raises(StackError, match="stopped during the call"):
        await waiting
