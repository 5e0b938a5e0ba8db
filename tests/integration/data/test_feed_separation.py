"""Bars that another program publishes for a symbol never mix with the account's bars."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from lean_lite.config import AlpacaConfig, BusConfig, Config
from lean_lite.data import AlpacaDataFeed, Bars, DataCache, DataEngine, Live
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns
from tests.harness.forex_feed import MINUTE, NIGHT, CustomForexFeed, rate
from tests.harness.frames import OPEN_NS, Feeder, bars, raw_frame
from tests.harness.relay import Relay
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.data.conftest import Account, Engine, Follow
from tests.integration.data.test_live import minutes, starts, take

SYMBOL = "AAPL"
OPEN = from_ns(OPEN_NS)
# There is no trading on a Sunday, so history is complete without a backfill.
SUNDAY = NIGHT - timedelta(days=NIGHT.weekday() + 1)
LIMIT_S = 30.0


class Other:
    """Second program with a feed of its own; `publish` waits until its bars are delivered."""

    def __init__(self, engine: DataEngine, feed: CustomForexFeed) -> None:
        self._feed = feed
        self._engine = engine
        self._received = 0
        engine.add_data_callback(self._on_bar)

    def _on_bar(self, symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        self._received += 1

    async def publish(self, *numbers: int, **more: object) -> None:
        await self._engine.subscribe_symbol(SYMBOL)
        expected = self._received + len(numbers)
        for number in numbers:
            await self._feed.publish(rate(number, SYMBOL, **more))
        await until(lambda: self._received == expected, "the other program's own bars")


@pytest.fixture
async def other(pipeline: Feeder, engine: Engine) -> AsyncIterator[Other]:
    feed = CustomForexFeed("experiment")
    async with engine(feed) as running:
        yield Other(running, feed)


@pytest.fixture
def ours(engine: Engine) -> Callable[[], DataEngine]:
    return lambda: engine(AlpacaDataFeed("alpaca_main"))


def of_account(numbers: range) -> list[float]:
    closes: list[float] = bars(SYMBOL, numbers)["close"].tolist()
    return closes


async def stored(running: DataEngine, feed_name: str, count: int) -> None:
    async def enough() -> bool:
        history = await running.get_historical_data(
            SYMBOL, OPEN, NIGHT + 99 * MINUTE, feed_name=feed_name, timeout_s=0
        )
        return len(history) >= count

    await until(enough, f"{count} bars in the store")


async def test_callbacks_reports_and_metrics_have_only_the_accounts_bars(
    pipeline: Feeder, other: Other, ours: Callable[[], DataEngine]
) -> None:
    got: list[float] = []
    async with ours() as running:
        running.add_data_callback(lambda symbol, bar, quality: got.append(bar.close))
        await running.subscribe_symbol(SYMBOL)
        await other.publish(0, 1, 2)
        await other.publish(3, low=2.0)  # INVALID
        await pipeline.publish(raw_frame(SYMBOL, bars(SYMBOL, range(4), invalid=[1])))
        await until(lambda: set(got) >= set(of_account(range(4))), "the account's bars")
        assert sorted(got) == sorted(of_account(range(4)))
        assert running.feeds["alpaca_main"].metrics.total_messages == 3
        report = running.get_data_quality_report(SYMBOL, (time.time() - OPEN_NS / 1e9) / 3600 + 1)
        assert report["bars"] == 3
        assert report["levels"]["INVALID"] == 1


async def test_streams_have_only_the_accounts_bars_in_history_and_live(
    pipeline: Feeder, other: Other, ours: Callable[[], DataEngine], account: Account
) -> None:
    async with ours() as running:
        await pipeline.bars(SYMBOL, range(5))
        await other.publish(0, 1, 2)
        await stored(running, "alpaca_main", 5)
        live, past = running.bars(SYMBOL), running.bars(SYMBOL, since=OPEN)
        async with live, past, asyncio.timeout(LIMIT_S):
            first_live = asyncio.create_task(anext(live))
            assert [(await anext(past)).close for _ in range(5)] == of_account(range(5))
            await until(lambda: account.subscribe_requests >= 2, "both streams")
            await other.publish(3, 4, 5)
            await pipeline.bars(SYMBOL, range(5, 10))
            assert [(await first_live).close] == of_account(range(5, 6))
            assert [(await anext(live)).close for _ in range(4)] == of_account(range(6, 10))
            assert [(await anext(past)).close for _ in range(5)] == of_account(range(5, 10))


async def test_history_has_the_accounts_bars_even_if_another_feed_is_newer(
    pipeline: Feeder, other: Other, ours: Callable[[], DataEngine]
) -> None:
    async with ours() as running:
        await pipeline.bars(SYMBOL, range(5))
        await other.publish(0, 1, 2)
        await stored(running, "alpaca_main", 5)
        for feed_name in (None, "alpaca_main"):
            history = await running.get_historical_data(
                SYMBOL, OPEN, NIGHT + 9 * MINUTE, feed_name=feed_name, timeout_s=0
            )
            assert (history.block.feed, len(history)) == ("iex", 5)
            only_others = await running.get_historical_data(
                SYMBOL, NIGHT, NIGHT + 9 * MINUTE, feed_name=feed_name, timeout_s=0
            )
            assert len(only_others) == 0
        report = await running.quality_report(SYMBOL, OPEN, OPEN + 9 * MINUTE)
        assert report["bars"] == 5


async def test_slices_have_only_the_accounts_bars(
    pipeline: Feeder, other: Other, ours: Callable[[], DataEngine], account: Account
) -> None:
    async with ours() as running, running.slices([SYMBOL]) as slices, asyncio.timeout(LIMIT_S):
        first = asyncio.create_task(anext(slices))
        await until(lambda: account.subscribe_requests, "the stream")
        await other.publish(0, 1, 2)
        await pipeline.bars(SYMBOL, range(3))
        got = [await first, await anext(slices), await anext(slices)]
        assert [one[SYMBOL].close for one in got] == of_account(range(3))
        assert {one.revision for one in got} == {0}


async def test_lost_bars_are_fetched_from_the_accounts_feed(
    pipeline: Feeder, other: Other, follow: Follow, join: Join, relay: Relay
) -> None:
    live = await follow(SYMBOL, bus=await join("client", url=relay.url), after={})
    relay.lose = lambda subject, _: subject.startswith("md.live.bar.")
    for number in range(10):
        await other.publish(number)
        await pipeline.bars(SYMBOL, [number])
    assert starts(await take(live, 10), SYMBOL) == minutes(SYMBOL, range(10))
    assert live.refetched == 10
    assert live.behind == 0


async def test_no_bar_is_delivered_or_lost_before_the_feed_is_known(
    pipeline: Feeder, other: Other, follow: Follow, account: Account
) -> None:
    account.answering.clear()
    starting = asyncio.create_task(_follow_symbol(follow))
    await until(lambda: account.subscribe_requests > 0, "the subscribe request")
    await other.publish(*range(5))
    await pipeline.bars(SYMBOL, range(5))
    await asyncio.sleep(0.5)
    account.answering.set()
    live = await starting
    await other.publish(*range(5, 10))
    await pipeline.bars(SYMBOL, range(5, 10))
    got = await take(live, 10)
    assert starts(got, SYMBOL) == minutes(SYMBOL, range(10))
    assert live.refetched == live.behind == 0


async def _follow_symbol(follow: Follow) -> Live:
    return await follow(SYMBOL)


async def test_a_live_stream_switches_when_the_accounts_feed_changes(
    pipeline: Feeder, follow: Follow, account: Account
) -> None:
    live = await follow(SYMBOL)
    await pipeline.bars(SYMBOL, range(2))
    assert [bar.feed for bar in await take(live, 2)] == ["iex"] * 2
    account.config = AlpacaConfig(feed="sip")
    before = account.subscribe_requests
    await until(lambda: account.subscribe_requests == before + 2, "two renewals")
    await pipeline.bars(SYMBOL, range(2, 4))
    await pipeline.publish(raw_frame(SYMBOL, bars(SYMBOL, range(2, 5), feed="sip")))
    assert [bar.feed for bar in await take(live, 3)] == ["sip"] * 3
    assert live.behind == 0


async def test_cached_history_of_another_feed_is_requested_again(
    pipeline: Feeder, bus_config: BusConfig
) -> None:
    cache = DataCache(disk=False)
    running = DataEngine(Config(bus=bus_config), cache=cache)
    sunday = [(SUNDAY - OPEN) // MINUTE + number for number in range(6)]
    span = (SUNDAY, SUNDAY + 5 * MINUTE)
    async with running:
        await pipeline.bars(SYMBOL, sunday)

        async def arrived() -> bool:
            return len(await running.get_historical_data(SYMBOL, *span)) == 5

        await until(arrived, "the account's bars")
        await running.subscribe_symbol(SYMBOL)
        await running.get_historical_data(SYMBOL, *span)
        assert len(cache) == 1
        # Another engine of the same folder may have put it there.
        cache.put(SYMBOL, Resolution.MINUTE, *span, Bars(bars(SYMBOL, sunday[:5], feed="sip")))
        for _ in range(2):
            found = await running.get_historical_data(SYMBOL, *span)
            assert (found.block.feed, len(found)) == ("iex", 5)
        assert cache.hits == 2


async def test_history_of_a_feed_without_received_revisions_is_not_cached(
    pipeline: Feeder, bus_config: BusConfig
) -> None:
    cache = DataCache(disk=False)
    running, own = DataEngine(Config(bus=bus_config), cache=cache), CustomForexFeed("mine")
    running.add_feed(AlpacaDataFeed("alpaca_main"))
    running.add_feed(own)
    got: list[TradeBar] = []
    async with running:
        running.add_data_callback(lambda symbol, bar, quality: got.append(bar))
        await running.subscribe_symbol(SYMBOL, feed_name="mine")
        for number in range(6):
            await own.publish(rate(number, SYMBOL, timestamp=SUNDAY + number * MINUTE))
        await until(lambda: len(got) == 6, "the bars of the feed")
        sunday = [(SUNDAY - OPEN) // MINUTE + number for number in range(6)]
        await pipeline.bars(SYMBOL, sunday)

        async def arrived() -> bool:
            found = await running.get_historical_data(
                SYMBOL, SUNDAY, SUNDAY + 5 * MINUTE, feed_name="alpaca_main"
            )
            return len(found) == 5 and found.block.feed == "iex" and not found.gaps

        await until(arrived, "the account's bars")
        assert len(cache) == 0
