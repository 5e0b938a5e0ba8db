"""What strategies write against: type-checked, never run."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import pandas as pd

from lean_lite.blocks import Block, decode_block, encode_block, from_bars
from lean_lite.config import AlpacaConfig, BusConfig, Config, SettingSource
from lean_lite.data import (
    AlpacaDataFeed,
    Bars,
    BarStream,
    DataBuffer,
    DataCache,
    DataEngine,
    DataFeed,
    DataMetrics,
    DataPersistence,
    DataTransformer,
    DataValidator,
    Indicators,
    Live,
    Resampler,
    Slice,
)
from lean_lite.errors import ConfigError, LeanLiteError, RequestError
from lean_lite.feeds import ConnectionStatus
from lean_lite.model import DataQualityLevel, QuoteBar, Resolution, TradeBar
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)


def bars_are_plain_values() -> None:
    bar = TradeBar("SPY", NOON, 1.0, 2.0, 0.5, 1.5, 100.0)
    assert_type(bar.timestamp, datetime)
    assert_type(bar.close, float)
    assert_type(bar.vwap, float | None)
    assert_type(bar.trade_count, int | None)
    assert_type(bar.resolution, Resolution)
    assert_type(Resolution.from_seconds(60), Resolution)
    assert_type(Resolution.MINUTE.seconds, int)
    quote = QuoteBar("SPY", NOON, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.1, 1.1)
    assert_type(quote.bid_size, float)
    bar.close = 2.0  # type: ignore[misc]
    TradeBar("SPY", "noon", 1.0, 2.0, 0.5, 1.5, 100.0)  # type: ignore[arg-type]


def grades_are_ordered() -> None:
    assert_type(DataQualityLevel.GOOD < DataQualityLevel.EXCELLENT, bool)
    assert_type(DataQualityLevel.GOOD.code, int)
    assert_type(DataQualityLevel.from_code(3), DataQualityLevel)


def blocks_are_columns(bars: list[TradeBar]) -> None:
    block = from_bars(bars, feed="csv")
    assert_type(block, Block)
    assert_type(encode_block(block), bytes)
    assert_type(decode_block(b""), Block)
    assert_type(block.bar(0), TradeBar)
    assert_type(block.bars(), Iterator[TradeBar])
    assert_type(block.take(slice(1)), Block)
    rows: npt.NDArray[np.intp] = np.array([0])
    assert_type(block.take(rows), Block)


def settings_are_typed() -> None:
    config = Config(bus=BusConfig(url="nats://127.0.0.1:4222"))
    assert_type(config.bus, BusConfig)
    assert_type(config.alpaca, AlpacaConfig)
    assert_type(config.ingest.symbols, tuple[str, ...])
    assert_type(config.bus.lease_ttl_s, float)
    assert_type(config.sources(), list[SettingSource])
    assert_type(config.environment(), dict[str, str])
    assert_type(config.replace(bus={"url": ""}), Config)
    Config("lean-lite.toml")  # type: ignore[call-arg]
    config.bus.url = ""  # type: ignore[misc]
    AlpacaConfig(feed="otc")  # type: ignore[arg-type]
    BusConfig(uri="")  # type: ignore[call-arg]


async def history_is_a_sequence_of_bars(engine: DataEngine) -> None:
    bars = await engine.get_historical_data("SPY", NOON, NOON, Resolution.DAILY)
    assert_type(bars, Bars)
    assert_type(bars[0], TradeBar)
    assert_type(bars[1:], Bars)
    assert_type(len(bars), int)
    assert_type(bars.block, Block)
    assert_type(bars.gaps, tuple[Gap, ...])
    anything: Sequence[TradeBar] = bars
    for bar in anything:
        assert_type(bar, TradeBar)
    await engine.get_historical_data("SPY", "2026-11-23", NOON)  # type: ignore[arg-type]
    await engine.get_historical_data(
        symbol="SPY", start_date=NOON, end_date=NOON, resolution=Resolution.MINUTE
    )
    await engine.get_historical_data("SPY", NOON, NOON, timeout_s=5.0, progress=print)


async def an_engine_lends_itself() -> None:
    async with DataEngine() as engine, DataEngine(Config()) as other:
        assert_type(engine, DataEngine)
        assert_type(other.config, Config)
        assert_type(await engine.subscribe_symbol("SPY"), bool)
        assert_type(await engine.subscribe_symbol("EUR/USD", feed_name="forex_feed"), bool)
        assert_type(await engine.unsubscribe_symbol("SPY"), bool)
        stream = engine.bars("SPY", "AAPL", since=timedelta(days=5), revisions="all", name="mine")
        assert_type(stream, BarStream)
        assert_type(stream.gaps, list[Gap])
        assert_type(stream.record, LiveBar)
        engine.bars("SPY", since=NOON, revisions="sometimes")  # type: ignore[arg-type]
        async with engine.slices(["SPY", "AAPL"]) as slices:
            async for one in slices:
                assert_type(one, Slice)
                assert_type(one["SPY"], TradeBar)
                assert_type(one.missing, tuple[str, ...])
        engine.add_data_callback(print, policy="latest")
        engine.add_data_callback(print, policy="drop_newest")  # type: ignore[arg-type]
        assert_type(engine.get_metrics(), dict[str, Any])
        assert_type(engine.get_data_quality_report("SPY", hours=24), dict[str, Any])
        assert_type(await engine.quality_report("SPY", NOON, NOON), dict[str, Any])
        async for bar in engine.bars("SPY"):
            assert_type(bar, TradeBar)


async def live_records_carry_their_grade(engine: DataEngine) -> None:
    async with await engine.live("SPY", after={"equity.3": 7}) as live:
        assert_type(live, Live)
        assert_type(live.accepted, tuple[str, ...])
        assert_type(live.refused, dict[str, str])
        assert_type(live.done, dict[str, int])
        assert_type(live.behind, int)
        async for record in live:
            assert_type(record, LiveBar)
            assert_type(record.bar(), TradeBar)
            assert_type(record.quality, DataQualityLevel)
            assert_type(record.late, bool)


def callbacks_may_wait_or_not(engine: DataEngine) -> None:
    def plain(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None: ...

    async def waiting(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> None: ...

    def either(symbol: str, bar: TradeBar, quality: DataQualityLevel) -> Awaitable[None] | None: ...

    def hasty(bar: TradeBar) -> None: ...

    engine.add_data_callback(plain)
    engine.add_data_callback(waiting)
    engine.add_data_callback(either)
    engine.add_data_callback(hasty)  # type: ignore[arg-type]
    engine.remove_data_callback(plain)


class OwnFeed(DataFeed):
    async def connect(self) -> bool:
        await self.publish(TradeBar("EUR/USD", NOON, 1.0, 1.0, 1.0, 1.0, 1.0))
        return True

    async def disconnect(self) -> None: ...

    async def subscribe(self, symbol: str) -> bool:
        return symbol == "EUR/USD"

    async def unsubscribe(self, symbol: str) -> bool:
        return True

    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> list[TradeBar]:
        return []


class HalfFeed(DataFeed):
    async def connect(self) -> bool:
        return True


def feeds_are_added_by_name(engine: DataEngine, config: Config) -> None:
    engine.add_feed(AlpacaDataFeed("alpaca_main", config))
    engine.add_feed(OwnFeed("forex_feed"))
    assert_type(engine.feeds, Mapping[str, DataFeed])
    for name, feed in engine.feeds.items():
        assert_type(name, str)
        assert_type(feed.get_connection_status(), ConnectionStatus)
    DataFeed("abstract")  # type: ignore[abstract]
    HalfFeed("half")  # type: ignore[abstract]
    engine.add_feed("alpaca_main")  # type: ignore[arg-type]


def errors_tell_what_can_be_done(refused: RequestError, wrong: ConfigError) -> None:
    assert_type(refused.code, str)
    assert_type(wrong.key, str)
    root: LeanLiteError = refused
    assert_type(str(root), str)


def parts_stand_alone() -> None:
    buffer = DataBuffer(max_size=10)
    assert_type(buffer.get_latest(10), list[TradeBar | QuoteBar])
    assert_type(buffer.utilization, float)
    buffer.add("SPY")  # type: ignore[arg-type]
    cache = DataCache(max_size=10, cache_dir="cache")
    assert_type(cache.get("SPY", "1Min", NOON, NOON), Bars | None)
    metrics = DataMetrics()
    assert_type(metrics.to_dict(), dict[str, Any])
    assert_type(metrics.to_json(), str)


def records_are_judged(bar: TradeBar, quote: QuoteBar) -> None:
    verdict = DataValidator.validate_trade_bar(bar, previous=bar, now=NOON)
    assert_type(verdict, tuple[bool, DataQualityLevel, str])
    is_valid, quality, message = DataValidator.validate_quote_bar(quote)
    assert_type((is_valid, quality, message), tuple[bool, DataQualityLevel, str])
    DataValidator.validate_trade_bar(quote)  # type: ignore[arg-type]


def bars_are_transformed(bars: Bars, bar: TradeBar) -> None:
    assert_type(DataTransformer.resample_bars(bars, Resolution.HOUR), Bars)
    assert_type(DataTransformer.resample_bars([bar], timedelta(minutes=5)), Bars)
    assert_type(DataTransformer.normalize_data(bars, method="minmax"), pd.DataFrame)
    DataTransformer.normalize_data(bars, method="max")  # type: ignore[arg-type]
    indicators = DataTransformer.calculate_technical_indicators(bars)
    assert_type(indicators["sma_20"], "pd.Series[float]")
    assert_type(bars.to_df(), pd.DataFrame)
    assert_type(bars[1:], Bars)
    assert_type(bars.to_numpy(), npt.NDArray[np.float64])
    assert_type(Indicators().update(bar), dict[str, float])
    for made in Resampler(Resolution("5min")).add(bar):
        assert_type(made.bar, TradeBar)
        assert_type(made.revision, int)
        assert_type(made.partial, bool)


def persistence(bar: TradeBar) -> None:
    with DataPersistence("data_pipeline.db") as kept, kept.batch():
        kept.save_market_data("AAPL", NOON, "trade", bar, quality_score=0.95)
        kept.save_metrics(DataMetrics())
        kept.save_error("connection_error", "Failed to connect", "AAPL")
        assert_type(kept.get_recent_data("AAPL", hours=24), list[dict[str, Any]])
        assert_type(kept.get_metrics_history(hours=24), list[dict[str, Any]])
        assert_type(kept.get_errors(), list[dict[str, Any]])
