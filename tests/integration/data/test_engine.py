"""An engine on real services ends what it starts, also after errors, waits and cancellation."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from lean_lite.blocks import Origin
from lean_lite.bus import Bus
from lean_lite.config import BusConfig, Config
from lean_lite.data import AlpacaDataFeed, DataCache, DataEngine
from lean_lite.data.dispatch.callbacks import Callback
from lean_lite.errors import ConfigError, FeedError, FeedUnavailable, RequestError, StackError
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns, to_ns
from tests.harness.forex_feed import MINUTE, NIGHT, SYMBOL, CustomForexFeed, rate
from tests.harness.frames import OPEN_NS, Feeder, bars, raw_frame
from tests.harness.waiting import until
from tests.integration.data.conftest import Account, Engine

POOREST, BEST = DataQualityLevel.INVALID, DataQualityLevel.EXCELLENT
Update = tuple[str, TradeBar, DataQualityLevel]


class Updates:
    """Callback that keeps what it receives."""

    def __init__(self) -> None:
        self._received: list[Update] = []

    def __call__(self, symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        self._received.append((symbol, bar, quality))

    def __len__(self) -> int:
        return len(self._received)

    def __iter__(self) -> Iterator[Update]:
        return iter(self._received)


async def test_bars_of_a_custom_feed_reach_callbacks_with_quality_and_then_history(
    pipeline: Feeder, engine: Engine
) -> None:
    forex = CustomForexFeed("forex_feed")
    updates = Updates()
    async with engine(AlpacaDataFeed("alpaca_stocks"), forex) as running:
        running.add_data_callback(updates)
        assert await running.subscribe_symbol(SYMBOL, feed_name="forex_feed")
        assert await running.subscribe_symbol(SYMBOL)
        assert list(running.feeds) == ["alpaca_stocks", "forex_feed"]
        for number in range(3, 6):
            await forex.publish(rate(number))
        await forex.publish(rate(6, volume=0.0))
        await forex.publish(rate(7, low=2.0))
        await until(lambda: len(updates) == 5, "five updates")
        assert sorted(updates, key=lambda update: update[1].timestamp) == [
            (SYMBOL, rate(3), DataQualityLevel.EXCELLENT),
            (SYMBOL, rate(4), DataQualityLevel.EXCELLENT),
            (SYMBOL, rate(5), DataQualityLevel.EXCELLENT),
            # Forex has no volume, so a bar without it is not an error.
            (SYMBOL, rate(6, volume=0.0), DataQualityLevel.EXCELLENT),
            (SYMBOL, rate(7, low=2.0), DataQualityLevel.INVALID),
        ]
        forex.past = [rate(number, volume=1.0) for number in range(10)]
        request = (SYMBOL, NIGHT, NIGHT + 10 * MINUTE, Resolution.MINUTE)
        history = await running.get_historical_data(*request)
        assert [bar.volume for bar in history] == [1, 1, 1, 103, 104, 105, 0, 1, 1, 1]
        forex.history_requests.clear()
        await running.get_historical_data(SYMBOL, NIGHT + 3 * MINUTE, NIGHT + 7 * MINUTE)
        assert forex.history_requests == []
        await running.get_historical_data(SYMBOL, NIGHT + 2 * MINUTE, NIGHT + 7 * MINUTE)
        assert forex.history_requests == [(NIGHT + 2 * MINUTE, NIGHT + 3 * MINUTE)]
        assert await running.unsubscribe_symbol(SYMBOL)
        assert not await running.unsubscribe_symbol(SYMBOL)
        await until(lambda: f"unsubscribe {SYMBOL}" in forex.calls, "the unsubscription")
        status = forex.get_connection_status()
        assert (status.connected, status.detail) == (True, "0 symbols subscribed")
    assert forex.calls[-1] == "disconnect"
    assert not forex.get_connection_status().connected


async def test_bars_delivered_to_callbacks_are_in_history_and_in_the_cache(
    pipeline: Feeder, account: Account, bus_config: BusConfig, tmp_path: Path
) -> None:
    account.backfill_succeeds = True
    updates, opened = Updates(), from_ns(OPEN_NS)
    request = ("AAPL", opened, opened + 5 * MINUTE)
    async with DataEngine(Config(bus=bus_config), cache=DataCache(cache_dir=tmp_path)) as running:
        running.add_feed(AlpacaDataFeed("alpaca"))
        running.add_data_callback(updates)
        await running.subscribe_symbol("AAPL")
        await pipeline.bars("AAPL", range(7))
        await until(lambda: len(updates) == 7, "the bars")
        for number in range(20):
            block = bars("AAPL", [3], origin=Origin.UPDATED)
            volume = np.array([50_000.0 + number])
            received = block["received_ns"] + 30 * 10**9 + number
            changed = block.with_columns(volume=volume, received_ns=received)
            await pipeline.publish(raw_frame("AAPL", changed))
            await until(lambda: len(updates) == 8 + number, "the correction")  # noqa: B023
            for _ in range(2):
                history = await running.get_historical_data(*request)
                assert (len(history), history[3].volume) == (5, volume[0])
        figures = running.get_metrics()["engine"]
        assert (figures["cache_hits"], figures["cache_misses"]) == (20, 20)


async def test_a_feed_can_be_added_to_a_running_engine(pipeline: Feeder, engine: Engine) -> None:
    updates = Updates()
    late = CustomForexFeed("late")
    async with engine() as running:
        running.add_data_callback(updates)
        running.add_feed(late)
        assert await running.subscribe_symbol(SYMBOL, feed_name="late")
        await late.publish(rate(1))
        await until(lambda: len(updates) == 1, "an update")
    assert late.calls[-1] == "disconnect"


async def test_the_same_feed_may_be_added_again(pipeline: Feeder, engine: Engine) -> None:
    updates = Updates()
    feed = CustomForexFeed("mine")
    async with engine() as running:
        running.add_data_callback(updates)
        for number in range(3):
            running.add_feed(feed)
            assert await running.subscribe_symbol(SYMBOL)
            await feed.publish(rate(number))
            await until(lambda: len(updates) > number, "an update")  # noqa: B023 - awaited here
        assert feed.calls == ["connect", f"subscribe {SYMBOL}"]
        assert feed.get_connection_status().connected
    assert feed.calls.count("disconnect") == 1


async def test_an_added_feed_that_fails_to_start_is_logged_and_retried(
    pipeline: Feeder, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    late = CustomForexFeed("late")
    late.connects = False
    async with engine() as running:
        running.add_feed(late)
        await until(lambda: "could not start late" in caplog.text, "the failure")
        with pytest.raises(FeedUnavailable, match=r"its connect\(\) returned False"):
            await running.subscribe_symbol(SYMBOL, feed_name="late")
        late.connects = True
        assert await running.subscribe_symbol(SYMBOL, feed_name="late")


async def test_a_callback_that_raises_does_not_affect_others(
    pipeline: Feeder, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Updates(), Updates()

    def broken(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        message = "broken by design"
        raise ValueError(message)

    async def broken_later(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await asyncio.sleep(0)
        raise KeyError(symbol)

    async with engine() as running:
        for callback in (before, broken, broken_later, after):
            running.add_data_callback(callback)
        await running.subscribe_symbol("AAPL")
        await pipeline.bars("AAPL", range(5))
        await until(lambda: len(after) == 5, "all bars")
        running.remove_data_callback(before)
        running.remove_data_callback(before)
        await pipeline.bars("AAPL", range(5, 8))
        await until(lambda: len(after) == 8, "more bars")
        await until(lambda: running.get_metrics()["engine"]["error_count"] == 16, "all errors")
        figures = running.get_metrics()
        failed = {one["callback"].rpartition(".")[2]: one["failed"] for one in figures["callbacks"]}
        assert (failed["broken"], failed["broken_later"]) == (8, 8)
        assert figures["engine"]["total_messages"] == 8
        json.dumps(figures)
    assert len(before) == 5
    # The 1st, 2nd, 4th and 8th failure of each is logged.
    failures = [line for line in caplog.messages if "failed for AAPL" in line]
    assert len(failures) == 8


async def test_a_slow_callback_does_not_affect_others_and_its_policy_is_applied(
    pipeline: Feeder, engine: Engine
) -> None:
    gate = asyncio.Event()
    fast, blocked, newest, tail = Updates(), Updates(), Updates(), Updates()

    def slow(updates: Updates) -> Callback:
        async def callback(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
            await gate.wait()
            updates(symbol, bar, quality)

        return callback

    async with engine() as running:
        running.add_data_callback(slow(blocked))
        running.add_data_callback(slow(newest), policy="latest")
        running.add_data_callback(slow(tail), policy="drop_oldest", bound=3)
        running.add_data_callback(fast)
        await running.subscribe_symbol("AAPL")
        await pipeline.bars("AAPL", [0])
        await until(lambda: len(fast) == 1, "the first bar")
        await pipeline.bars("AAPL", range(1, 10))
        await until(lambda: len(fast) == 10, "all bars")
        assert not [*blocked, *newest, *tail]
        gate.set()
        every = [bar.timestamp for _, bar, _ in fast]
        await until(lambda: len(blocked) == 10, "the queued bars")
        assert [bar.timestamp for _, bar, _ in blocked] == every
        # Each was processing its first bar when the others arrived.
        await until(lambda: len(newest) == 2 and len(tail) == 4, "the remaining bars")
        assert [bar.timestamp for _, bar, _ in newest] == [every[0], every[-1]]
        assert [bar.timestamp for _, bar, _ in tail] == [every[0], *every[-3:]]
        dropped = [one["dropped"] for one in running.get_metrics()["callbacks"]]
        assert dropped == [0, 8, 6, 0]


async def test_a_full_blocking_callback_delays_delivery_and_loses_nothing(
    pipeline: Feeder, engine: Engine
) -> None:
    gate = asyncio.Event()
    blocked = Updates()

    async def slow(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        await gate.wait()
        blocked(symbol, bar, quality)

    async with engine() as running:
        running.add_data_callback(slow, bound=2)
        await running.subscribe_symbol("AAPL")
        await pipeline.bars("AAPL", range(20))
        await until(lambda: running.get_metrics()["engine"]["waiting"] > 10, "bars to wait")
        gate.set()
        await until(lambda: len(blocked) == 20, "all bars")
    starts = [bar.timestamp for _, bar, _ in blocked]
    assert starts == sorted(set(starts))


async def test_reports_and_metrics_cover_the_received_bars(
    pipeline: Feeder, engine: Engine
) -> None:
    updates = Updates()
    await pipeline.bars("AAPL", range(3))
    async with engine() as running:
        running.add_data_callback(updates)
        with pytest.raises(RequestError, match="AAPL is not subscribed"):
            running.get_data_quality_report("AAPL")
        await running.subscribe_symbol("AAPL")
        await pipeline.publish(raw_frame("AAPL", bars("AAPL", range(3, 6), invalid=[4])))
        await until(lambda: {POOREST, BEST} <= {quality for _, _, quality in updates}, "the bars")
        hours = (time.time() - OPEN_NS / 1e9) / 3_600 + 1
        report = running.get_data_quality_report("AAPL", hours=hours)
        assert report["levels"]["INVALID"] == 1
        assert report["reasons"] == {"B02_OHLC": 1}
        assert [one["quality"] for one in report["worst"]] == ["INVALID"]
        assert 0 < report["average_quality_score"] < 1
        assert running.get_data_quality_report("AAPL", hours=1)["average_quality_score"] is None

        def ready() -> bool:
            services = running.get_metrics()["services"].values()
            return {one["service"] for one in services if one["ready"]} >= {"store", "validate"}

        await until(ready, "heartbeats of both services")


async def test_invalid_bars_are_counted_separately_and_only_in_the_live_report(
    pipeline: Feeder, engine: Engine
) -> None:
    updates = Updates()
    hours = (time.time() - to_ns(NIGHT) / 1e9) / 3_600 + 1
    feed = CustomForexFeed("mine")
    async with engine(feed) as running:
        running.add_data_callback(updates)
        await running.subscribe_symbol(SYMBOL)
        await feed.publish_all([rate(number) for number in range(0, 8, 2)])
        await feed.publish_all([rate(number, low=2.0) for number in range(1, 8, 2)])
        await feed.publish(rate(0, low=2.0))
        await until(lambda: len(updates) == 9, "nine updates")
        log = running.get_data_quality_report(SYMBOL, hours)
        assert (log["bars"], log["levels"]["EXCELLENT"], log["levels"]["INVALID"]) == (4, 4, 5)
        assert log["average_quality_score"] == pytest.approx(4 / 9)
        stored = await running.quality_report(SYMBOL, NIGHT, NIGHT + 10 * MINUTE)
        assert (stored["bars"], stored["levels"]["INVALID"]) == (4, None)
        assert stored["invalid_since"] is None
        await running.unsubscribe_symbol(SYMBOL)
        await running.subscribe_symbol(SYMBOL)
        again = running.get_data_quality_report(SYMBOL, hours)
        assert (again["bars"], again["levels"]["INVALID"]) == (4, 0)
        assert again["invalid_since"] > log["invalid_since"]


async def test_a_callback_may_unsubscribe_and_stop(pipeline: Feeder, engine: Engine) -> None:
    running = engine()
    updates = Updates()
    stopped = asyncio.Event()

    async def once(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None:
        updates(symbol, bar, quality)
        if symbol == "AAPL":
            await running.unsubscribe_symbol("AAPL")
        else:
            await running.stop()
            stopped.set()

    await running.start()
    running.add_data_callback(once)
    await running.subscribe_symbol("AAPL")
    await running.subscribe_symbol("MSFT")
    await pipeline.bars("AAPL", range(5))
    await until(lambda: updates, "a bar")
    await asyncio.sleep(0.2)
    assert [symbol for symbol, _, _ in updates] == ["AAPL"]
    await pipeline.bars("MSFT", range(5))
    async with asyncio.timeout(20):
        await stopped.wait()
        await running.stop()
    assert [symbol for symbol, _, _ in updates] == ["AAPL", "MSFT"]


async def test_an_invalid_bar_reaches_callbacks_but_not_iterators(
    pipeline: Feeder, engine: Engine
) -> None:
    updates = Updates()
    async with engine() as running:
        running.add_data_callback(updates)
        await running.subscribe_symbol("AAPL")
        live = await running.live("AAPL")
        await pipeline.publish(raw_frame("AAPL", bars("AAPL", range(3), invalid=[1])))
        await until(lambda: len(updates) == 3, "three updates")
        levels = [q for _, _, q in sorted(updates, key=lambda update: update[1].timestamp)]
        assert levels[1] == DataQualityLevel.INVALID
        assert [(await anext(live)).level for _ in range(2)] == [4, 4]
        assert live.behind == 0
        await live.stop()


async def test_start_and_stop_may_be_called_again(engine: Engine, admin: Bus) -> None:
    running = engine(CustomForexFeed("fx"))
    await running.stop()
    for _ in range(2):
        async with asyncio.timeout(30):
            await asyncio.gather(running.start(), running.start())
            await running.start()
            await until(lambda: members(admin, 1), "the feed's owner")
            await asyncio.gather(running.stop(), running.stop())
            await running.stop()
            assert await members(admin, 0)


async def test_an_engine_may_be_used_in_one_event_loop_after_another(
    pipeline: Feeder, engine: Engine
) -> None:
    feed, updates = CustomForexFeed("fx"), Updates()
    running = engine(feed)
    running.add_data_callback(updates)

    async def run(numbers: range) -> None:
        async with running:
            symbols = (SYMBOL, "GBP/USD")
            await asyncio.gather(*[running.subscribe_symbol(symbol) for symbol in symbols])
            for number in numbers:
                await feed.publish(rate(number))
                await until(partial(has_received, updates, rate(number)), "the bar")

    for numbers in (range(3), range(3, 6)):
        await asyncio.to_thread(asyncio.run, run(numbers))


def has_received(updates: Updates, wanted: TradeBar) -> bool:
    return any(bar == wanted for _, bar, _ in updates)


async def members(admin: Bus, count: int) -> bool:
    """Return whether `count` feeds run."""
    info = await admin.jetstream.stream_info("KV_members", subjects_filter="$KV.members.feed.>")
    return len(info.state.subjects or {}) == count


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_a_cancelled_start_leaves_nothing_running(engine: Engine, turns: int) -> None:
    feed = CustomForexFeed("fx")
    running = engine(feed)
    before = asyncio.all_tasks()
    starting = asyncio.create_task(running.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        # The start may have finished before.
        await starting
        await running.stop()
    with pytest.raises(StackError, match=r"engine\.start"):
        await running.subscribe_symbol("AAPL")
    await until(lambda: asyncio.all_tasks() <= before, "the last task")
    assert not feed.get_connection_status().connected
    async with running:
        assert running.feeds["fx"] is feed


async def test_a_cancelled_stop_still_stops(engine: Engine) -> None:
    feed = CustomForexFeed("fx")
    running = engine(feed)
    await running.start()
    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert feed.calls[-1] == "disconnect"
    await running.stop()


async def test_a_feed_that_does_not_connect_ends_the_start(engine: Engine) -> None:
    near, away = CustomForexFeed("near"), CustomForexFeed("away")
    away.connects = False
    with pytest.raises(FeedUnavailable, match="the feed away could not connect"):
        await engine(near, away).start()
    assert near.calls[-1] == "disconnect"


async def test_usage_errors_say_what_to_do(engine: Engine, bus_config: BusConfig) -> None:
    handle = AlpacaDataFeed("alpaca_main")
    with pytest.raises(FeedError, match=r"engine\.add_feed"):
        await handle.subscribe("AAPL")
    idle = engine()
    with pytest.raises(StackError, match=r"await engine\.start"):
        await idle.get_historical_data("AAPL", NIGHT, NIGHT)
    async with engine(handle) as running:
        with pytest.raises(FeedError, match="there is a feed alpaca_main already"):
            running.add_feed(CustomForexFeed("alpaca_main"))
        with pytest.raises(FeedError, match="there are alpaca_main"):
            await running.subscribe_symbol("AAPL", feed_name="nobody")
        with pytest.raises(FeedError, match=r"no feed serves EUR/USD \(forex\)"):
            await running.subscribe_symbol(SYMBOL)
        with pytest.raises(RequestError, match="invalid resolution 'second'"):
            await running.get_historical_data("AAPL", NIGHT, NIGHT, Resolution.SECOND)
        with pytest.raises(RequestError, match="invalid resolution '1Mon': use"):
            await running.get_historical_data("AAPL", NIGHT, NIGHT, "1Mon")
        with pytest.raises(RequestError, match="invalid symbol ''"):
            running.bars("")
        with pytest.raises(RequestError, match="invalid symbol ''"):
            await running.subscribe_symbol("")
        with pytest.raises(TypeError, match=r"engine\.slices\(\['AAPL'\]\)"):
            running.slices("AAPL")
        with pytest.raises(ValueError, match="is in the future"):
            running.bars("AAPL", since=timedelta(days=-1))
    plain = DataEngine(Config(bus=replace(bus_config, feed_user="")))
    plain.add_feed(CustomForexFeed("fx"))
    with pytest.raises(ConfigError, match="LEAN_LITE_BUS__FEED_PASSWORD"):
        await plain.start()


async def test_a_feed_handle_works_through_its_engine(pipeline: Feeder, engine: Engine) -> None:
    handle = AlpacaDataFeed("alpaca_main")
    updates = Updates()
    async with engine(handle) as running:
        assert await handle.connect()
        assert not handle.get_connection_status().connected
        running.add_data_callback(updates)
        assert await handle.subscribe("AAPL")
        await pipeline.bars("AAPL", range(3))
        await until(lambda: len(updates) == 3, "three bars")
        assert await handle.unsubscribe("AAPL")
    assert handle.get_connection_status().detail == "not started"


async def test_bars_of_another_feed_of_the_same_symbol_are_not_mixed_in(
    pipeline: Feeder, engine: Engine
) -> None:
    own = CustomForexFeed("mine")
    async with engine(own, AlpacaDataFeed("alpaca_main")) as running:
        live = await running.live("AAPL", feed_name="mine", after={})
        await pipeline.bars("AAPL", range(10))
        await own.publish(rate(0, "AAPL"))
        record = await anext(live)
        assert (record.feed, record.start_ns) == ("mine", to_ns(NIGHT))
        assert live.behind == 0
        await live.stop()
