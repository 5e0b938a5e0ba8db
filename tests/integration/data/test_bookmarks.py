"""A named reader resumes its symbols; added symbols are new, also in a lane that it has read."""

import asyncio
from datetime import datetime

import msgspec
import pytest
from msgspec.structs import replace

from lean_lite.bus.connection import encode
from lean_lite.config import BusConfig, Config
from lean_lite.data import BarStream, DataEngine
from lean_lite.protocol.bookmark import Bookmark
from lean_lite.protocol.partitions import lane_of
from lean_lite.protocol.subjects import BOOKMARKS
from tests.harness.forex_feed import MINUTE, NIGHT, SYMBOL, CustomForexFeed, rate
from tests.harness.frames import Feeder
from tests.harness.relay import Relay
from tests.harness.waiting import until
from tests.integration.conftest import Join
from tests.integration.data.conftest import Engine
from tests.integration.data.test_bar_stream import take

SAME_LANE, OTHER_LANE = "CAD/USD", "GBP/USD"
ADDED = pytest.mark.parametrize("added", [SAME_LANE, OTHER_LANE])
SILENT_S = 1.5
assert lane_of(SAME_LANE) == lane_of(SYMBOL) != lane_of(OTHER_LANE)


@pytest.fixture
def feed() -> CustomForexFeed:
    return CustomForexFeed("mine")


async def publish(feed: CustomForexFeed, running: DataEngine, **minutes: range) -> None:
    """Publish minutes of symbols, named without their slash, and wait until they are stored."""
    for name, some in minutes.items():
        for minute in some:
            await feed.publish(rate(minute, symbol_of(name)))

    async def stored() -> bool:
        for name, some in minutes.items():
            span = (NIGHT + some.start * MINUTE, NIGHT + some.stop * MINUTE)
            if len(await running.get_historical_data(symbol_of(name), *span)) < len(some):
                return False
        return True

    await until(stored, f"{minutes} in the store")


def symbol_of(name: str) -> str:
    return f"{name[:3]}/{name[3:]}"


def name_of(symbol: str) -> str:
    return symbol.replace("/", "")


async def drain(stream: BarStream) -> dict[str, list[int]]:
    """Return the minutes of each symbol until no more bars come; the last bar is processed, too."""
    got: dict[str, list[int]] = {}
    async with stream:
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    bar = await anext(stream)
            except TimeoutError:
                return got
            got.setdefault(bar.symbol, []).append((bar.timestamp - NIGHT) // MINUTE)


@ADDED
async def test_an_added_symbol_gets_its_complete_history_and_the_others_resume(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, added: str
) -> None:
    other = name_of(added)
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(5), **{other: range(5)})
        got = await drain(running.bars(SYMBOL, since=NIGHT, name="reader"))
        assert got == {SYMBOL: [*range(5)]}
        await publish(feed, running, EURUSD=range(5, 7), **{other: range(5, 8)})
        got = await drain(running.bars(SYMBOL, added, since=NIGHT, name="reader"))
        assert got == {SYMBOL: [5, 6], added: [*range(8)]}
        await publish(feed, running, EURUSD=range(7, 8), **{other: range(8, 9)})
        got = await drain(running.bars(SYMBOL, added, since=NIGHT, name="reader"))
        assert got == {SYMBOL: [7], added: [8]}


@ADDED
async def test_an_added_symbol_without_since_starts_with_its_next_bar(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, added: str
) -> None:
    other = name_of(added)
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(5), **{other: range(5)})
        assert await drain(running.bars(SYMBOL, since=NIGHT, name="reader"))
        await publish(feed, running, EURUSD=range(5, 7), **{other: range(5, 8)})
        assert await drain(running.bars(SYMBOL, added, name="reader")) == {SYMBOL: [5, 6]}
        await publish(feed, running, EURUSD=range(7, 8), **{other: range(8, 9)})
        got = await drain(running.bars(SYMBOL, added, name="reader"))
        assert got == {SYMBOL: [7], added: [8]}


@ADDED
@pytest.mark.parametrize(("since", "again"), [(None, []), (NIGHT, [0, 1, 2, 3])])
async def test_a_dropped_symbol_starts_again_when_it_is_added_again(
    pipeline: Feeder,
    engine: Engine,
    added: str,
    since: datetime | None,
    again: list[int],
) -> None:
    feed, other = CustomForexFeed("mine"), name_of(added)
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(2), **{other: range(2)})
        got = await drain(running.bars(SYMBOL, added, since=NIGHT, name="reader"))
        assert got == {SYMBOL: [0, 1], added: [0, 1]}
        await publish(feed, running, EURUSD=range(2, 4), **{other: range(2, 4)})
        assert await drain(running.bars(SYMBOL, name="reader")) == {SYMBOL: [2, 3]}
        got = await drain(running.bars(SYMBOL, added, since=since, name="reader"))
        assert got.get(added, []) == again
        assert SYMBOL not in got


async def test_a_bookmark_of_an_earlier_version_is_resumed(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, join: Join
) -> None:
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(2), GBPUSD=range(2))
        await publish(feed, running, EURUSD=range(2, 4), GBPUSD=range(2, 4))
        async with running.bars(SYMBOL, since=NIGHT) as stream:
            await take(stream, 2)
            done = {str(lane_of(SYMBOL)): stream.record.seq}
        bucket = await (await join("client")).jetstream.key_value(BOOKMARKS)
        await bucket.put("reader", encode({"reader": "other", "done": done, "beyond": ()}))
        got = await drain(running.bars(SYMBOL, OTHER_LANE, since=NIGHT, name="reader"))
        assert got == {SYMBOL: [2, 3], OTHER_LANE: [0, 1, 2, 3]}


async def test_a_reader_waits_for_a_server_that_does_not_answer_for_its_bookmark(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, relay: Relay, bus_config: BusConfig
) -> None:
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(3))
        cut_off = replace(bus_config, url=relay.url, request_timeout_s=0.5)
        async with DataEngine(Config(bus=cut_off)) as reader:
            await relay.close()
            async with reader.bars(SYMBOL, since=NIGHT, name="reader") as stream:
                first = asyncio.create_task(take(stream, 1))
                await asyncio.sleep(1.5)  # three requests fail
                await relay.open()
                assert [bar.timestamp for bar in await first] == [NIGHT]


@pytest.mark.parametrize("name", [None, "reader"])
async def test_a_stream_without_since_gets_no_correction_of_past_bars(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, name: str | None
) -> None:
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(5))
        stream = running.bars(SYMBOL, name=name)
        reading = asyncio.create_task(drain(stream))
        slices = running.slices([SYMBOL])
        slicing = asyncio.create_task(anext(slices))
        await until(lambda: feed.calls.count(f"subscribe {SYMBOL}") == 1, "the subscription")
        await asyncio.sleep(0.5)  # the feed is subscribed once, by the first of the two streams
        await publish(feed, running, EURUSD=range(5, 6))
        await feed.publish(rate(2, volume=9.0))
        await publish(feed, running, EURUSD=range(6, 7))
        assert await reading == {SYMBOL: [5, 6]}
        starts = [(await slicing).timestamp, (await anext(slices)).timestamp]
        assert starts == [NIGHT + 5 * MINUTE, NIGHT + 6 * MINUTE]
        await slices.aclose()


async def test_symbols_that_are_no_longer_read_are_removed_from_the_bookmark(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, join: Join
) -> None:
    async with engine(feed) as running:
        await publish(feed, running, EURUSD=range(2), GBPUSD=range(2))
        await drain(running.bars(SYMBOL, OTHER_LANE, since=NIGHT, name="reader"))
        await drain(running.bars(OTHER_LANE, name="reader"))
        bucket = await (await join("client")).jetstream.key_value(BOOKMARKS)
        entry = await bucket.get("reader")
    kept = msgspec.msgpack.decode(entry.value or b"", type=Bookmark)
    assert [*kept.symbols] == [OTHER_LANE]
    assert [*kept.done] == [str(lane_of(OTHER_LANE))]
