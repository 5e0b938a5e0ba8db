"""A stream of bars on real services: history, live bars, its end, and resuming by name."""

import asyncio

import pytest

from lean_lite.data import BarStream, DataEngine
from lean_lite.errors import RequestError
from lean_lite.model import TradeBar
from tests.harness.forex_feed import MINUTE, NIGHT, SYMBOL, CustomForexFeed, rate
from tests.harness.frames import Feeder
from tests.harness.waiting import until
from tests.integration.data.conftest import Engine

LIMIT_S = 20.0


@pytest.fixture
def feed() -> CustomForexFeed:
    return CustomForexFeed("mine")


async def publish(feed: CustomForexFeed, *minutes: int) -> None:
    for minute in minutes:
        await feed.publish(rate(minute))


async def stored(running: DataEngine, count: int) -> None:
    """Wait until `count` bars are stored."""

    async def enough() -> bool:
        bars = await running.get_historical_data(SYMBOL, NIGHT, NIGHT + 999 * MINUTE)
        return len(bars) == count

    await until(enough, f"{count} bars in the store")


async def take(stream: BarStream, count: int) -> list[TradeBar]:
    async with asyncio.timeout(LIMIT_S):
        return [await anext(stream) for _ in range(count)]


def minutes(bars: list[TradeBar]) -> list[int]:
    return [(bar.timestamp - NIGHT) // MINUTE for bar in bars]


async def test_history_is_followed_by_live_bars(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        await publish(feed, *range(5))
        await stored(running, 5)
        async with running.bars(SYMBOL, since=NIGHT + 2 * MINUTE) as stream:
            assert minutes(await take(stream, 3)) == [2, 3, 4]
            await publish(feed, *range(5, 8))
            assert minutes(await take(stream, 3)) == [5, 6, 7]
            assert stream.record.feed == "mine"
            assert stream.gaps == []


async def test_waiting_for_a_bar_may_be_cancelled(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running, running.bars(SYMBOL) as stream:
        for minute in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.5)
            await publish(feed, minute)
            assert minutes(await take(stream, 1)) == [minute]


async def test_streams_end_when_their_engine_stops(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async def read(running: DataEngine) -> int:
        return len([bar async for bar in running.bars(SYMBOL)])

    async def read_slices(running: DataEngine) -> int:
        return len([one async for one in running.slices([SYMBOL])])

    async with engine(feed) as running:
        reading = [asyncio.create_task(read(running)), asyncio.create_task(read_slices(running))]
        await until(lambda: f"subscribe {SYMBOL}" in feed.calls, "the subscription")
        await asyncio.sleep(0.5)  # the feed is subscribed once, by the first of the two streams
        await publish(feed, 1)
        await asyncio.sleep(0.5)  # neither ends with its first bar
        assert not any(task.done() for task in reading)
    assert await asyncio.wait_for(asyncio.gather(*reading), LIMIT_S) == [1, 1]


async def test_slices_that_are_no_longer_read_are_unsubscribed(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async def first(running: DataEngine) -> None:
        async for _ in running.slices([SYMBOL]):
            return

    async with engine(feed) as running:
        reading = asyncio.create_task(first(running))
        await until(lambda: f"subscribe {SYMBOL}" in feed.calls, "the subscription")
        await publish(feed, 1)
        await asyncio.wait_for(reading, LIMIT_S)
        await until(lambda: f"unsubscribe {SYMBOL}" in feed.calls, "the unsubscription")


async def test_errors_that_prevent_the_start_of_a_stream_are_raised(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        stream = running.bars("XXX/YYY")
        with pytest.raises(RequestError, match="the feed mine refuses it"):
            await take(stream, 1)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(ValueError, match="name one symbol at least"):
            running.bars()
        with pytest.raises(
            ValueError, match="invalid revisions 'last': use one of first, final, all"
        ):
            running.bars(SYMBOL, revisions="last")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="invalid reader name 'my reader'"):
            running.bars(SYMBOL, name="my reader")


@pytest.mark.parametrize("since", [None, NIGHT])
async def test_a_named_reader_resumes_where_it_stopped(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed, since: None
) -> None:
    async with engine(feed) as running:
        async with running.bars(SYMBOL, since=since, name="reader") as stream:
            first = asyncio.create_task(take(stream, 5))
            await until(lambda: f"subscribe {SYMBOL}" in feed.calls, "the subscription")
            await publish(feed, *range(7))
            assert minutes(await first) == [0, 1, 2, 3, 4]
        await feed.publish(rate(1, volume=9.0))
        await publish(feed, 7)
        async with running.bars(SYMBOL, since=since, name="reader") as stream:
            # The bar in processing comes again, a correction of an earlier bar does not.
            assert minutes(await take(stream, 4)) == [4, 5, 6, 7]


async def test_a_named_reader_that_did_not_finish_history_starts_again(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        await publish(feed, *range(5))
        await stored(running, 5)
        for _ in range(2):
            async with running.bars(SYMBOL, since=NIGHT, name="reader") as stream:
                assert minutes(await take(stream, 3)) == [0, 1, 2]
        async with running.bars(SYMBOL, since=NIGHT, name="reader") as stream:
            assert minutes(await take(stream, 5)) == [0, 1, 2, 3, 4]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.2)
        await publish(feed, 5)
        async with running.bars(SYMBOL, since=NIGHT, name="reader") as stream:
            assert minutes(await take(stream, 1)) == [5]


async def test_final_bars_held_back_before_a_restart_are_delivered_after_it(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        async with running.bars(SYMBOL, revisions="final", name="reader") as stream:
            first = asyncio.create_task(take(stream, 2))
            await until(lambda: f"subscribe {SYMBOL}" in feed.calls, "the subscription")
            await publish(feed, 0)
            await feed.publish(rate(0, volume=9.0))
            await publish(feed, 1, 2)
            assert [(bar.timestamp, bar.volume) for bar in await first] == [
                (NIGHT, 9.0),
                (NIGHT + MINUTE, 101.0),
            ]
        await publish(feed, 3)
        async with running.bars(SYMBOL, revisions="final", name="reader") as stream:
            assert minutes(await take(stream, 2)) == [1, 2]


async def test_corrections_are_delivered_with_all_revisions(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        await publish(feed, 0)
        await stored(running, 1)
        async with running.bars(SYMBOL, since=NIGHT, revisions="all") as stream:
            await take(stream, 1)
            await feed.publish(rate(0, volume=9.0))
            await publish(feed, 1)
            await feed.publish(rate(1, volume=9.0))
            got = await take(stream, 3)
    assert [bar.volume for bar in got] == [9.0, 101.0, 9.0]
    assert minutes(got) == [0, 1, 1]


async def test_a_name_has_one_reader_at_a_time(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    async with engine(feed) as running:
        streams = [running.bars(SYMBOL, name="reader") for _ in range(2)]
        reading = [asyncio.create_task(take(stream, 1)) for stream in streams]
        await until(lambda: f"subscribe {SYMBOL}" in feed.calls, "the subscription")
        await asyncio.sleep(1.0)  # the feed is subscribed once, by the first of the two streams
        await publish(feed, 0)
        await asyncio.gather(*reading)

        async def publish_and_read() -> None:
            for minute in range(1, 99):
                await publish(feed, minute)
                await asyncio.sleep(0.1)
                for stream in streams:
                    await take(stream, 1)

        with pytest.raises(RequestError, match="another reader uses the name reader"):
            await publish_and_read()


async def test_a_bookmark_ahead_of_the_store_is_an_error(
    pipeline: Feeder, engine: Engine, feed: CustomForexFeed
) -> None:
    from lean_lite.bus.connection import encode
    from lean_lite.data.streams.bookmarks import BookmarkStore
    from lean_lite.protocol.bookmark import Bookmark
    from lean_lite.protocol.partitions import lane_of
    from lean_lite.protocol.subjects import BOOKMARKS

    async with engine(feed) as running:
        live = await running.live(SYMBOL)
        bucket = await live._bus.jetstream.key_value(BOOKMARKS)
        bookmark = Bookmark("other", {str(lane_of(SYMBOL)): 1_000_000})
        await bucket.put("reader", encode(bookmark))
        with pytest.raises(RequestError, match="the reader reader is ahead of the store"):
            await BookmarkStore(live._bus, "reader", retry_s=0.5).load()
