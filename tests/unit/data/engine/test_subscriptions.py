"""A symbol is subscribed once, dispatched and cached; a failed subscription is removed."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from lean_lite.data import DataMetrics
from lean_lite.data.dispatch.dispatcher import Dispatcher
from lean_lite.data.engine.feed_registry import FeedRegistry
from lean_lite.data.engine.history_cache import HistoryCache
from lean_lite.data.engine.subscriptions import SymbolSubscriptions
from lean_lite.data.history.reader import HistoryReader
from lean_lite.data.live import Live
from lean_lite.errors import FeedError, RequestError
from lean_lite.model import DataQualityLevel, TradeBar
from tests.harness.bars import live_bar
from tests.harness.memory_bus import MemoryBus
from tests.harness.waiting import until


class Engine:
    """Subscriptions with the objects that an engine passes to them."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.metrics = DataMetrics()
        self.cache = HistoryCache(None, self.metrics)
        self.dispatcher = Dispatcher(self.metrics, self.cache.invalidate)
        self.subscriptions = SymbolSubscriptions(
            FeedRegistry(), self.dispatcher, self.cache, self.open_live, self.open_history
        )
        self.opened = 0
        self.history_error: Exception | None = None

    async def open_live(self, symbols: Sequence[str], feed_name: str | None) -> Live:
        self.opened += 1
        live = Live(self.bus.bus, symbols)
        await live.start()
        return live

    def open_history(self) -> HistoryReader:
        if self.history_error is not None:
            raise self.history_error
        return HistoryReader(self.bus.bus)

    async def subscribe(self, feed: str = "") -> None:
        await self.subscriptions.subscribe(self.bus.bus, "SPY", feed, None)

    async def unsubscribe(self) -> bool:
        return await self.subscriptions.unsubscribe("SPY")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine()
    made.dispatcher.start()
    yield made
    await made.unsubscribe()
    await made.dispatcher.stop()
    assert made.bus.subscribed == []


async def test_two_callers_subscribe_a_symbol_once(engine: Engine) -> None:
    await asyncio.gather(engine.subscribe(), engine.subscribe())
    assert (engine.opened, engine.subscriptions.symbols) == (1, ["SPY"])


async def test_graded_and_invalid_bars_are_dispatched_until_the_symbol_is_unsubscribed(
    engine: Engine,
) -> None:
    got: list[tuple[TradeBar, DataQualityLevel]] = []
    engine.dispatcher.callbacks.add(lambda _, bar, quality: got.append((bar, quality)))
    await engine.subscribe()
    await engine.bus.publish_frames(1)
    invalid = live_bar(level=0)
    await engine.bus.publish_invalid(invalid)
    await until(lambda: len(got) == 2, "two bars")
    graded = engine.bus.record(1)
    assert {quality.name: bar for bar, quality in got} == {
        "EXCELLENT": graded.bar(),
        "INVALID": invalid.bar(),
    }
    assert engine.subscriptions.queued_seq("SPY") == {str(engine.bus.lane): 1}
    assert await engine.unsubscribe()
    assert not await engine.unsubscribe()
    await engine.bus.publish_frames(2)
    assert (len(got), engine.subscriptions.queued_seq("SPY")) == (2, {})


async def test_a_symbol_is_subscribed_from_one_feed_at_a_time(engine: Engine) -> None:
    await engine.subscribe()
    with pytest.raises(FeedError, match="subscribed from another feed"):
        await engine.subscribe("mine")
    await engine.unsubscribe()
    await engine.subscribe("mine")
    assert engine.subscriptions.symbols == ["SPY"]


async def test_corrections_arrive_for_the_subscribed_feed_of_the_account(engine: Engine) -> None:
    receives, bus = engine.subscriptions.receives_corrections_of, engine.bus
    bars = await HistoryReader(bus.bus).read_stored("SPY", "", 0)
    await bus.publish_frames(1)
    own = await HistoryReader(bus.bus).read_stored("SPY", "", 0)
    bus.feed = "sip"
    other = await HistoryReader(bus.bus).read_stored("SPY", "", 0)
    bus.feed = "iex"
    assert not receives("SPY", own)
    await engine.subscribe()
    assert [receives("SPY", one) for one in (bars, own, other)] == [True, True, False]
    await engine.unsubscribe()
    await engine.subscribe("mine")
    assert not receives("SPY", own)


async def test_a_failed_subscription_leaves_no_symbol_and_no_bus_subscription(
    engine: Engine,
) -> None:
    engine.history_error = OSError("the bus is away")
    with pytest.raises(OSError, match="the bus is away"):
        await engine.subscribe()
    assert (engine.bus.subscribed, engine.subscriptions.symbols) == ([], [])
    with pytest.raises(RequestError, match="SPY is not subscribed"):
        engine.dispatcher.report("SPY", 1)
    engine.history_error = None
    await engine.subscribe()
    assert engine.dispatcher.report("SPY", 1)["symbol"] == "SPY"
