"""
Stages of the specification's blocks: the names that a block uses, and what must hold afterwards.

A stage yields the names that its block needs, and checks them after the block has run.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lean_lite.config import Config
from lean_lite.data import (
    AlpacaDataFeed,
    Bars,
    DataBuffer,
    DataCache,
    DataEngine,
    DataFeed,
    DataMetrics,
    DataTransformer,
)
from lean_lite.model import DataQualityLevel, QuoteBar, Resolution, TradeBar
from tests.harness.waiting import until

Names = dict[str, Any]
Stage = Callable[[], AbstractAsyncContextManager[Names]]

LIMIT_S = 30.0
NOW = datetime.now(UTC)
WEEK = {"start_date": NOW - timedelta(days=7), "end_date": NOW}
MINUTES = [
    TradeBar("AAPL", NOW - timedelta(days=1, minutes=at), 10, 12, 9, 11, 100 + at)
    for at in range(120, 0, -1)
]


class CustomForexFeed(DataFeed):
    """A user's feed of EUR/USD."""

    async def connect(self) -> bool:
        return True

    async def disconnect(self) -> None:
        pass

    async def subscribe(self, symbol: str) -> bool:
        await self.publish(TradeBar(symbol, NOW - timedelta(minutes=9), 1.1, 1.2, 1.0, 1.1, 0))
        return True

    async def unsubscribe(self, symbol: str) -> bool:
        return True

    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> Sequence[TradeBar]:
        return []


class Log(logging.Logger):
    """Logger that stores its lines."""

    def __init__(self) -> None:
        super().__init__("strategy")
        self.lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def files() -> list[Path]:
    """Return the files that the block has left in its folder."""
    return sorted(Path().rglob("*"))


async def called(engine: DataEngine) -> None:
    """Wait until each callback has been called, and check that none has failed."""
    await until(
        lambda: all(one["called"] for one in engine.get_metrics()["callbacks"]), limit_s=LIMIT_S
    )
    assert [one["failed"] for one in engine.get_metrics()["callbacks"]] == [0]


@asynccontextmanager
async def following(*symbols: str) -> AsyncIterator[DataEngine]:
    """Run an engine with an Alpaca feed and some subscribed symbols."""
    config = Config()
    engine = DataEngine(config)
    engine.add_feed(AlpacaDataFeed("alpaca_main", config))
    async with engine:
        for symbol in symbols:
            await engine.subscribe_symbol(symbol)
        yield engine


@asynccontextmanager
async def tasks_live_on() -> AsyncIterator[None]:
    """Check that tasks started inside still run a second later, then cancel them."""
    before = asyncio.all_tasks()
    yield
    started = asyncio.all_tasks() - before
    assert started
    done, _ = await asyncio.wait(started, timeout=1.0)
    assert not done, done
    for task in started:
        task.cancel()
    await asyncio.wait(started)


@asynccontextmanager
async def quick_start() -> AsyncIterator[Names]:
    """Stage of a complete program."""
    yield {}


@asynccontextmanager
async def engine() -> AsyncIterator[Names]:
    config = Config()
    names: Names = {
        "config": config,
        "alpaca_feed": AlpacaDataFeed("alpaca_main", config),
        "other_feed": CustomForexFeed("forex_feed", config),
        "Resolution": Resolution,
        **WEEK,
    }
    yield names
    running: DataEngine = names["engine"]
    assert isinstance(names["bars"], Bars)
    assert len(names["bars"]) > 1_000
    assert list(running.feeds) == ["alpaca_main", "forex_feed"]
    await called(running)
    await running.stop()


@asynccontextmanager
async def custom_feed() -> AsyncIterator[Names]:
    names: Names = {"datetime": datetime, "Resolution": Resolution}
    yield names
    feed: DataFeed = names["CustomDataFeed"]("custom_feed", Config())
    got: list[TradeBar] = []
    running = DataEngine()
    running.add_feed(feed)
    running.add_data_callback(lambda _, bar, __: got.append(bar))
    async with running:
        await running.subscribe_symbol("EUR/USD", feed_name="custom_feed")
        await feed.publish(TradeBar("EUR/USD", NOW - timedelta(minutes=9), 1.1, 1.2, 1.0, 1.1, 0))
        await until(lambda: bool(got), limit_s=LIMIT_S)
    assert got[0].close == 1.1
    assert feed.metrics.total_messages == len(feed.buffer) == 1


@asynccontextmanager
async def buffer() -> AsyncIterator[Names]:
    names: Names = {"trade_bar": MINUTES[0]}
    yield names
    assert names["latest"] == [MINUTES[0]]
    assert names["utilization"] == 0.01


@asynccontextmanager
async def cache() -> AsyncIterator[Names]:
    names: Names = {"bars": MINUTES, **WEEK}
    yield names
    assert list(names["bars"]) == MINUTES
    assert files() == [Path("cache")]
    assert names["cache"].get("AAPL", "1Min", *WEEK.values()) is None


@asynccontextmanager
async def validator() -> AsyncIterator[Names]:
    bid, ask = (1.0, 1.0, 0.9, 0.9), (1.0, 1.0, 0.8, 0.8)
    quote = QuoteBar("AAPL", NOW - timedelta(hours=1), *bid, *ask)
    names: Names = {"bar": MINUTES[0], "quote": quote}
    yield names
    assert names["is_valid"] is True
    assert names["quality"] is DataQualityLevel.POOR
    assert names["message"].startswith("Q02_CROSSED")


@asynccontextmanager
async def transformer() -> AsyncIterator[Names]:
    names: Names = {"minute_bars": MINUTES, "bars": MINUTES}
    yield names
    assert sum(bar.volume for bar in names["hourly_bars"]) == sum(bar.volume for bar in MINUTES)
    assert len(names["normalized"]) == len(names["rsi"]) == len(MINUTES)
    assert math.isclose(names["sma_20"].iloc[-1], 11)


@asynccontextmanager
async def persistence() -> AsyncIterator[Names]:
    names: Names = {"timestamp": NOW, "data": MINUTES[0], "metrics": DataMetrics()}
    yield names
    (saved,) = names["recent_data"]
    assert (saved["symbol"], saved["quality_score"]) == ("AAPL", 0.95)
    assert len(names["metrics_history"]) == 1
    assert names["persistence"].get_errors()[0]["message"] == "Failed to connect"


@asynccontextmanager
async def metrics() -> AsyncIterator[Names]:
    names: Names = {}
    yield names
    decoded = json.loads(names["json_str"])
    assert decoded["average_latency_ms"] == names["metrics_dict"]["average_latency_ms"] == 50.0
    assert decoded["total_messages"] == decoded["error_count"] == 1


@asynccontextmanager
async def several_feeds() -> AsyncIterator[Names]:
    config = Config()
    async with DataEngine(config) as running:
        names: Names = {
            "engine": running,
            "config": config,
            "AlpacaDataFeed": AlpacaDataFeed,
            "CustomForexFeed": CustomForexFeed,
        }
        yield names
        assert running.get_metrics()["engine"]["symbols"] == ["AAPL", "BTC/USD", "EUR/USD"]
        stocks, crypto, forex = running.feeds.values()
        await until(
            lambda: bool(len(stocks.buffer) and len(crypto.buffer) and len(forex.buffer)),
            limit_s=LIMIT_S,
        )
        for feed, symbol in ((stocks, "AAPL"), (crypto, "BTC/USD"), (forex, "EUR/USD")):
            assert {record.symbol for record in feed.buffer} == {symbol}


@asynccontextmanager
async def quality_monitoring() -> AsyncIterator[Names]:
    async with following("AAPL") as running:
        names: Names = {"engine": running, "DataQualityLevel": DataQualityLevel, "logger": Log()}
        yield names
        await called(running)
        assert names["quality_report"]["symbol"] == "AAPL"
        assert 0.99 < names["quality_report"]["average_quality_score"] <= 1.0


@asynccontextmanager
async def custom_processing() -> AsyncIterator[Names]:
    processed: list[tuple[Any, ...]] = []
    async with following("AAPL") as running:
        yield {
            "engine": running,
            "DataQualityLevel": DataQualityLevel,
            "TradeBar": TradeBar,
            "calculate_sma": lambda bar: bar.close,
            "calculate_rsi": lambda _: 50.0,
            "store_processed_data": lambda *values: processed.append(values),
        }
        await called(running)
    assert processed[0][0] == "AAPL"


@asynccontextmanager
async def performance() -> AsyncIterator[Names]:
    async with following() as running:
        names: Names = {
            "asyncio": asyncio,
            "engine": running,
            "DataCache": DataCache,
            "DataBuffer": DataBuffer,
            "DataTransformer": DataTransformer,
            "Resolution": Resolution,
            **WEEK,
        }
        yield names
        before = asyncio.all_tasks()
        await names["process_historical_data"]("AAPL")
        await asyncio.gather(*(asyncio.all_tasks() - before))


@asynccontextmanager
async def error_handling() -> AsyncIterator[Names]:
    running, log = DataEngine(), Log()
    running.add_feed(AlpacaDataFeed("alpaca_main"))
    yield {"engine": running, "logger": log}
    assert log.lines == []
    assert running.get_metrics()["engine"]["symbols"] == ["AAPL"]
    await running.stop()


@asynccontextmanager
async def resource_management() -> AsyncIterator[Names]:
    running = DataEngine()
    running.add_feed(AlpacaDataFeed("alpaca_main"))
    yield {"engine": running, "asyncio": asyncio}
    assert running.feeds["alpaca_main"].get_connection_status().detail == "not started"


@asynccontextmanager
async def monitoring() -> AsyncIterator[Names]:
    alerts: list[str] = []
    async with following("AAPL") as running, tasks_live_on():
        yield {"engine": running, "asyncio": asyncio, "send_alert": alerts.append}
    assert alerts == []


@asynccontextmanager
async def quality_filter() -> AsyncIterator[Names]:
    log = Log()
    async with following("AAPL") as running:
        names: Names = {"engine": running, "logger": log}
        yield names
        await called(running)
        assert log.lines == []
        assert names["quality_filter"]("AAPL", None, DataQualityLevel.FAIR) is True
        assert names["quality_filter"]("AAPL", None, DataQualityLevel.POOR) is False
    assert log.lines == ["WARNING Low quality data for AAPL: 0.5"]


@asynccontextmanager
async def caching() -> AsyncIterator[Names]:
    names: Names = {"asyncio": asyncio, "DataCache": DataCache}
    async with tasks_live_on():
        yield names
    names["cache"].put("AAPL", "1Min", *WEEK.values(), MINUTES)
    assert len(names["cache"].get("AAPL", "1Min", *WEEK.values())) == len(MINUTES)


@asynccontextmanager
async def debugging() -> AsyncIterator[Names]:
    async with following("AAPL") as running:
        names: Names = {"engine": running, "json": json}
        yield names
        assert logging.getLogger("lean_lite.data.live").isEnabledFor(logging.DEBUG)
        assert names["feed_name"] == "alpaca_main"
        await until(lambda: names["feed"].get_connection_status().connected, limit_s=LIMIT_S)


# In the order of the specification; its first block is a program of its own.
STAGES: tuple[Stage, ...] = (
    quick_start,
    engine,
    custom_feed,
    buffer,
    cache,
    validator,
    transformer,
    persistence,
    metrics,
    several_feeds,
    quality_monitoring,
    custom_processing,
    performance,
    error_handling,
    resource_management,
    monitoring,
    quality_filter,
    caching,
    debugging,
)
