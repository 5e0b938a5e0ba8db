"""A stream renews its subscriptions, and a refused renewal is reported."""

import asyncio
from contextlib import suppress

import pytest
from nats.errors import OutboundBufferLimitError

from lean_lite.data.live.feed_subscriptions import FeedSubscriptions
from lean_lite.errors import BusUnavailable
from lean_lite.protocol.subjects import credit
from tests.harness.forex_feed import SYMBOL, CustomForexFeed
from tests.harness.frames import Feeder
from tests.harness.relay import Relay
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.data.conftest import Engine, Follow
from tests.integration.data.test_live import minutes, starts, take


async def test_a_feed_that_does_not_answer_does_not_block_other_subscriptions(
    join: Join, feeder: Feeder
) -> None:
    demand = FeedSubscriptions(await join("client"), (SYMBOL, "AAPL"), {SYMBOL: "nobody"})
    with pytest.raises(BusUnavailable, match="nobody"):
        await demand.renew()
    assert demand.accepted == ("AAPL",)


async def test_a_symbol_that_is_refused_later_is_logged_once(
    pipeline: Feeder, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    feed = CustomForexFeed("mine")
    async with engine(feed) as running:
        await running.subscribe_symbol(SYMBOL)
        assert running.get_metrics()["engine"]["refused"] == {}
        feed.refused = frozenset({SYMBOL})
        feed.connection_lost("the right was withdrawn")
        await until(lambda: running.get_metrics()["engine"]["refused"], "the refusal")
        figures = running.get_metrics()["engine"]
        assert figures["refused"] == {SYMBOL: "the feed mine refuses it"}
        assert figures["error_count"] == 1
        calls = len(feed.calls)
        await until(lambda: len(feed.calls) > calls, "another renewal")
        message = f"no more bars of {SYMBOL}: it is refused from now on: the feed mine refuses it"
        assert caplog.messages.count(message) == 1
        assert running.get_metrics()["engine"]["error_count"] == 1
        feed.refused = frozenset()
        await until(lambda: not running.get_metrics()["engine"]["refused"], "the acceptance")


async def test_missing_bars_are_requested_again_after_bus_errors(
    join: Join, follow: Follow, feeder: Feeder, relay: Relay
) -> None:
    bus = await join("client", url=relay.url, request_timeout_s=0.5)
    live = await follow("AAPL", bus=bus, after={})
    await feeder.bars("AAPL", range(5))
    await take(live, 5)
    relay.lose = lambda subject, _: not subject.startswith("md.live.frame.")
    await feeder.bars("AAPL", range(5, 10))
    await until(lambda: live._recovery.lanes, "the recovery request")
    await relay.close()
    await until(lambda: not bus.connected, "the disconnect")
    for size in (500_000, 5_000, 50, 0):
        with suppress(OutboundBufferLimitError):
            while True:
                await bus.publish(f"{credit('nobody')}.1", bytes(size))
    await asyncio.sleep(2)
    relay.lose = lambda *_: False
    await relay.open()
    await feeder.bars("AAPL", range(10, 15))
    assert starts(await take(live, 10), "AAPL") == minutes("AAPL", range(5, 15))
