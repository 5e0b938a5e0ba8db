"""Bars of a user's own feed are graded, stored and delivered live, without duplicates."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from lean_lite.blocks import Origin, decode_block
from lean_lite.bus import Bus
from lean_lite.data.history.client import fetch
from lean_lite.errors import FeedError, FeedUnavailable
from lean_lite.feeds import FeedRunner
from lean_lite.model import DataQualityLevel
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol import subjects
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.live import LiveBar
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import RAW
from tests.harness.brokers import Brokers
from tests.harness.forex_feed import SYMBOL, CustomForexFeed, rate
from tests.harness.relay import Relay
from tests.harness.streams import stored
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.data.conftest import Follow
from tests.integration.data.test_live import take

NAME = "forex_feed"
FEEDS = {SYMBOL: NAME}

Run = Callable[..., Awaitable[CustomForexFeed]]


class Runs:
    """Hold the runner of each started feed."""

    def __init__(self) -> None:
        self.runners: dict[CustomForexFeed, FeedRunner] = {}


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
async def run(join: Join, runs: Runs) -> AsyncIterator[Run]:
    """Start the feed as an engine does, on a connection with the role `feed`."""
    async with AsyncExitStack() as started:

        async def run(name: str = NAME, *, bus: Bus | None = None, **more: int) -> CustomForexFeed:
            feed = CustomForexFeed(name)
            runner = FeedRunner(feed, bus or await join("feed"), **more)
            runs.runners[feed] = runner
            started.push_async_callback(runner.stop)
            await runner.start()
            return feed

        yield run


def closes(bars: list[LiveBar]) -> list[float]:
    return [bar.close for bar in bars]


async def ready(feed: CustomForexFeed) -> None:
    await until(lambda: feed.get_connection_status().connected, "the feed's lease")


async def test_bars_of_a_user_feed_are_graded_stored_and_delivered_live(
    run: Run, follow: Follow, join: Join
) -> None:
    feed = await run()
    live = await follow(SYMBOL, feeds=FEEDS, after={})
    assert live.accepted == (SYMBOL,)
    assert feed.calls == ["connect", f"subscribe {SYMBOL}"]
    await feed.publish_all([rate(number) for number in range(5)])
    await feed.publish(rate(5, high=1.0))
    await feed.publish(rate(6, volume=0.0))
    got = await take(live, 6)
    assert closes(got) == [rate(number).close for number in (0, 1, 2, 3, 4, 6)]
    assert [bar.quality for bar in got[:5]] == [DataQualityLevel.EXCELLENT] * 5
    assert {(bar.feed, bar.origin, bar.simulated) for bar in got} == {(NAME, Origin.CUSTOM, False)}
    client = await join("client")
    lane = lane_of(SYMBOL)

    async def kept() -> list[float]:
        request = HistoryRequest((SYMBOL,), feed=NAME, min_seq={str(lane): got[-1].seq})
        snapshot = await fetch(client, request)
        return [bar.close for block in snapshot.blocks for bar in block.bars()]

    assert await kept() == closes(got)


async def test_bars_of_a_user_feed_are_batched_into_frames_of_their_lanes(
    run: Run, admin: Bus
) -> None:
    feed = await run()
    bars = [rate(number, symbol) for number in range(500) for symbol in (SYMBOL, "GBP/USD", "AAPL")]
    await feed.publish_all(bars)

    async def published() -> list[str]:
        frames = [frame for frame in await stored(admin, RAW) if not frame.is_marker]
        blocks = [(frame, decode_block(frame.payload)) for frame in frames]
        assert all(
            subjects.raw(NAME, lane_of(symbol)) == frame.subject
            for frame, block in blocks
            for symbol in block.symbols
        )
        return [f"{bar.symbol} {bar.close}" for _, block in blocks for bar in block.bars()]

    await until_count(published, len(bars))
    order = await published()
    for symbol in (SYMBOL, "GBP/USD", "AAPL"):
        wanted = [f"{bar.symbol} {bar.close}" for bar in bars if bar.symbol == symbol]
        assert [text for text in order if text.split()[0] == symbol] == wanted
    frames = [frame for frame in await stored(admin, RAW) if not frame.is_marker]
    assert len(frames) < len(bars) / 10


async def until_count(look: Callable[[], Awaitable[list[str]]], count: int) -> None:
    async def enough() -> bool:
        return len(await look()) >= count

    await until(enough, f"{count} bars")


async def test_a_refused_symbol_is_reported_and_an_unread_one_unsubscribed(
    run: Run, follow: Follow
) -> None:
    feed = await run()
    live = await follow(SYMBOL, "XXX/YYY", feeds={**FEEDS, "XXX/YYY": NAME})
    assert live.accepted == (SYMBOL,)
    assert live.refused == {"XXX/YYY": f"the feed {NAME} refuses it"}
    other = await follow(SYMBOL, feeds=FEEDS)
    await other.stop()
    assert f"unsubscribe {SYMBOL}" not in feed.calls
    await live.stop()
    await until(lambda: f"unsubscribe {SYMBOL}" in feed.calls, "the unsubscription")


async def test_lost_bars_are_fetched_from_the_right_feed(
    run: Run, follow: Follow, join: Join, relay: Relay
) -> None:
    feed, other = await run(), await run("other")
    symbols = (SYMBOL, "AAPL")
    bus = await join("client", url=relay.url)
    live = await follow(*symbols, feeds={SYMBOL: NAME, "AAPL": NAME}, bus=bus, after={})
    relay.lose = lambda subject, _: subject.startswith("md.live.bar.")
    for number in range(20):
        for symbol in symbols:
            await feed.publish(rate(number, symbol))
            await other.publish(rate(number, symbol, volume=7.0))
        await asyncio.sleep(0.02)
    got = await take(live, 40)
    assert {bar.feed for bar in got} == {NAME}
    for symbol in symbols:
        bars = [bar for bar in got if bar.symbol == symbol]
        assert closes(bars) == [rate(number).close for number in range(20)]
    assert live.refetched >= 40


async def test_a_full_queue_is_an_error(run: Run, join: Join) -> None:
    owner = await run()
    await ready(owner)
    second = await run(bus=await join("feed", request_timeout_s=0.5), pending=10)
    for number in range(10):
        await second.publish(rate(number))
    with pytest.raises(FeedError, match="forex_feed has 10 bars queued"):
        await second.publish(rate(10))
    assert not second.get_connection_status().connected


async def test_bars_arrive_once_when_another_process_takes_over(
    run: Run, runs: Runs, follow: Follow
) -> None:
    first = await run()
    await ready(first)
    second = await run()
    live = await follow(SYMBOL, feeds=FEEDS, after={})
    assert f"subscribe {SYMBOL}" not in second.calls
    await first.publish_all([rate(number) for number in range(10)])
    # Bars that the standby has published come as repeats and are marked as such.
    await second.publish_all([rate(number) for number in range(15)])
    assert closes(await take(live, 10)) == [rate(number).close for number in range(10)]
    await runs.runners[first].stop()
    assert first.calls[-2:] == [f"unsubscribe {SYMBOL}", "disconnect"]
    assert closes(await take(live, 5)) == [rate(number).close for number in range(10, 15)]
    await until(
        lambda: f"subscribe {SYMBOL}" in second.calls, "the next renewal of the subscription"
    )


async def test_bars_published_while_the_bus_is_down_arrive_when_it_is_back(
    run: Run, follow: Follow, brokers: Brokers, lease_ttl_s: float
) -> None:
    feed = await run()
    live = await follow(SYMBOL, feeds=FEEDS, after={})
    await feed.publish_all([rate(number) for number in range(5)])
    assert len(await take(live, 5)) == 5
    await brokers.kill_nats()
    await feed.publish_all([rate(number) for number in range(5, 10)])
    await until(lambda: not feed.get_connection_status().connected, "the disconnect")
    await asyncio.sleep(lease_ttl_s)
    await brokers.start_nats()
    await feed.publish_all([rate(number) for number in range(10, 15)])
    assert closes(await take(live, 10)) == [rate(number).close for number in range(5, 15)]


async def test_a_feed_that_loses_its_source_connects_again(
    run: Run, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    feed = await run()
    live = await follow(SYMBOL, feeds=FEEDS, after={})
    feed.connects = False
    feed.connection_lost("the cable")
    feed.connection_lost("the cable, reported twice")
    await until(lambda: feed.calls == ["connect"], "an attempt that fails")
    status = feed.get_connection_status()
    assert not status.connected
    assert "has lost its source and reconnects: the cable" in status.detail
    assert feed.metrics.error_count == 2
    feed.connects = True
    await until(lambda: feed.get_connection_status().connected, "the connection")
    assert feed.calls == ["connect", f"subscribe {SYMBOL}"]
    await feed.publish(rate(1))
    assert closes(await take(live, 1)) == [rate(1).close]
    assert feed.metrics.total_messages == len(feed.buffer) == 1


class LostDuringReconnect(CustomForexFeed):
    """Lose the connection again during the second connect."""

    attempts = 0

    async def connect(self) -> bool:
        self.attempts += 1
        if self.attempts == 2:
            self.connection_lost("closed by the peer")
            await asyncio.sleep(0.05)
        return await super().connect()


class SlowToReconnect(CustomForexFeed):
    """Take a second to reconnect."""

    attempts = 0
    source_is_open = False

    async def connect(self) -> bool:
        self.attempts += 1
        await asyncio.sleep(1.0 if self.attempts == 2 else 0.0)
        self.source_is_open = await super().connect()
        return True

    async def disconnect(self) -> None:
        await super().disconnect()
        self.source_is_open = False


async def test_a_source_lost_during_a_reconnect_is_connected_again(join: Join) -> None:
    feed = LostDuringReconnect(NAME)
    runner = FeedRunner(feed, await join("feed"))
    await runner.start()
    await ready(feed)
    feed.connection_lost("the cable")
    await until(lambda: feed.attempts == 3, "the third attempt", 20)
    await ready(feed)
    assert feed.calls == ["connect"]
    await runner.stop()


async def test_a_feed_stopped_during_a_reconnect_stays_disconnected(run: Run, join: Join) -> None:
    await ready(await run())
    feed = SlowToReconnect(NAME)
    runner = FeedRunner(feed, await join("feed"))
    await runner.start()
    # Another process owns the feed, so the stop waits for the bars queued here.
    await feed.publish(rate(1))
    feed.connection_lost("the cable")
    await until(lambda: feed.attempts == 2, "the second attempt")
    await runner.stop()
    assert not feed.source_is_open


async def test_an_error_in_the_users_subscribe_is_a_refusal(run: Run, follow: Follow) -> None:
    feed = await run()

    async def broken(symbol: str) -> bool:
        message = f"no {symbol} today"
        raise OSError(message)

    feed.subscribe = broken  # type: ignore[method-assign]
    live = await follow(SYMBOL, feeds=FEEDS)
    assert set(live.refused) == {SYMBOL}
    assert feed.get_connection_status().connected


async def test_a_cancelled_error_in_the_users_connect_does_not_stop_the_feed(
    run: Run, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    feed = await run()
    live = await follow(SYMBOL, feeds=FEEDS, after={})
    connect = feed.connect

    async def connect_on_the_second_call() -> bool:
        feed.connect = connect  # type: ignore[method-assign]
        work = asyncio.create_task(asyncio.sleep(9))
        work.cancel()
        await work
        return True

    feed.connect = connect_on_the_second_call  # type: ignore[method-assign]
    feed.connection_lost("the cable")
    await until(lambda: feed.get_connection_status().connected, "the connection")
    assert "failed to connect" in caplog.text
    await feed.publish(rate(1))
    assert closes(await take(live, 1)) == [rate(1).close]


async def test_a_bar_that_can_not_be_encoded_is_refused_at_once(run: Run) -> None:
    feed = await run()
    for wrong in (
        rate(1, open="dear"),
        rate(1, symbol=""),
        rate(1, trade_count=2**70),
        "EUR/USD 1.1",
    ):
        with pytest.raises(FeedError, match="can't be published"):
            await feed.publish(wrong)  # type: ignore[arg-type]


async def test_a_feed_that_does_not_connect_is_an_error(join: Join) -> None:
    class Away(CustomForexFeed):
        async def connect(self) -> bool:
            return False

    runner = FeedRunner(Away(NAME), await join("feed"))
    with pytest.raises(FeedUnavailable, match="could not connect"):
        await runner.start()


@pytest.mark.parametrize("failure", [OSError("no route"), asyncio.CancelledError("no route")])
async def test_the_error_of_a_connect_that_raises_names_the_feed(
    failure: BaseException, join: Join
) -> None:
    class Broken(CustomForexFeed):
        async def connect(self) -> bool:
            raise failure

    runner = FeedRunner(Broken(NAME), await join("feed"))
    with pytest.raises(FeedUnavailable, match=f"the feed {NAME} could not connect: .*no route"):
        await runner.start()


@pytest.mark.parametrize("name", ["iex", "sip", "us"])
async def test_a_feed_name_of_alpaca_is_refused(name: str, join: Join) -> None:
    with pytest.raises(FeedError, match="another name"):
        FeedRunner(CustomForexFeed(name), await join("feed"))


async def test_a_feed_without_an_engine_is_not_connected_and_can_not_publish() -> None:
    feed = CustomForexFeed(NAME)
    assert not feed.get_connection_status().connected
    with pytest.raises(FeedError, match="add it to a DataEngine"):
        await feed.publish(rate(1))


async def test_received_ns_is_the_time_of_publishing(run: Run, admin: Bus) -> None:
    feed = await run()
    await feed.publish_all([rate(0), rate(1)])

    async def received() -> list[int]:
        frames = [frame for frame in await stored(admin, RAW) if not frame.is_marker]
        return [n for f in frames for n in decode_block(f.payload)["received_ns"].tolist()]

    async def both() -> bool:
        return len(await received()) == 2

    await until(both, "both bars")
    first, second = await received()
    assert to_ns(rate(1).timestamp) < first < second
