"""A stream has all of its bars and no older ones, no matter which of two stores answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lean_lite.data import DataEngine
from lean_lite_store.storage.database import open_store
from tests.harness.brokers import Brokers
from tests.harness.forex_feed import NIGHT, SYMBOL, CustomForexFeed
from tests.harness.frames import Feeder
from tests.harness.services import Services
from tests.harness.store_replica import held_back
from tests.harness.waiting import until
from tests.integration.data.conftest import Engine
from tests.integration.data.test_bar_stream import minutes, publish, stored, take

STREAMS = 12
BEFORE, MEANWHILE = 5, 40


@pytest.fixture
def feed() -> CustomForexFeed:
    return CustomForexFeed("mine")


@pytest.fixture
def other_settings(brokers: Brokers, tmp_path: Path) -> dict[str, object]:
    return {"path": str(tmp_path / "bars"), "redis_url": brokers.valkey_url, "wait_s": 0.2}


@pytest.fixture
def other_file(tmp_path: Path) -> Path:
    return tmp_path / "bars" / "store-1.sqlite"


@pytest.fixture
async def other(
    services: Services, pipeline: Feeder, other_settings: dict[str, object], other_file: Path
) -> Path:
    """Start a second store, and return its file."""
    await services.start("store", store=other_settings).ready()
    return other_file


async def stored_somewhere(running: DataEngine, count: int) -> None:
    """Wait until one of the stores has `count` bars."""
    async with asyncio.timeout(30):
        while len(await running.get_historical_data(SYMBOL, NIGHT, NIGHT.replace(hour=9))) < count:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def behind(
    engine: DataEngine, feed: CustomForexFeed, other: Path
) -> AsyncIterator[DataEngine]:
    """Start an engine with two stores, one of them `MEANWHILE` bars behind the other."""
    async with engine:
        await publish(feed, *range(BEFORE))
        await stored(engine, BEFORE)
        with held_back(other):
            await publish(feed, *range(BEFORE, BEFORE + MEANWHILE))
            await stored_somewhere(engine, BEFORE + MEANWHILE)
            yield engine


async def test_no_bar_is_lost_between_the_history_of_one_store_and_the_live_bars_of_another(
    other: Path, engine: Engine, feed: CustomForexFeed
) -> None:
    async with behind(engine(feed), feed, other) as running:
        for attempt in range(STREAMS):
            last = BEFORE + MEANWHILE + attempt
            async with running.bars(SYMBOL, since=NIGHT) as stream:
                first = await take(stream, 1)
                await publish(feed, last)
                rest = await take(stream, last)
                assert minutes(first + rest) == list(range(last + 1))
                assert stream.gaps == []


async def test_a_stream_without_since_gets_no_older_bars_from_a_store_that_is_behind(
    other: Path, engine: Engine, feed: CustomForexFeed
) -> None:
    async with behind(engine(feed), feed, other) as running:
        for attempt in range(STREAMS):
            minute = BEFORE + MEANWHILE + attempt
            async with await running.live(SYMBOL) as live:
                await publish(feed, minute)
                record = await asyncio.wait_for(anext(live), 20)
                assert minutes([record.bar()]) == [minute]


async def test_history_is_complete_while_another_store_joins(
    pipeline: Feeder,
    services: Services,
    other_settings: dict[str, object],
    engine: Engine,
    other_file: Path,
) -> None:
    count, feed = 20, CustomForexFeed("mine")
    async with engine(feed) as running:
        await publish(feed, *range(count))
        await stored(running, count)
        open_store(other_file).close()
        with held_back(other_file):
            joining = services.start("store", store=other_settings)
            await until(lambda: joining.beat is not None, "its first heartbeat")
            await asyncio.sleep(1.0)
            for _ in range(STREAMS):
                bars = await running.get_historical_data(SYMBOL, NIGHT, NIGHT.replace(hour=9))
                assert len(bars) == count
            assert "history requests are not answered yet" in joining.failing()
        await joining.ready()
