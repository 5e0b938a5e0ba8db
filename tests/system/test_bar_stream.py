"""History and live bars join without a gap or a duplicate, also when a process is killed."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lean_lite.config import Config
from lean_lite.data import BarStream, DataEngine
from lean_lite.model import TradeBar
from lean_lite.model.timestamps import to_ns
from tests.harness.pipeline import SYMBOLS, VALUES, Pipeline

if TYPE_CHECKING:
    from lean_lite.data.streams import Slice

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))
RUNS = 100 if SOAK else 4
# The first recorded day may be a Friday: after a minute, its market is closed for minutes.
RUNS_OF_A_STACK = 8
LIVE_BARS = 30
LIMIT_S = 60.0
LONG = timedelta(days=30)
VICTIMS = ("store", "validate", "nats")

pytestmark = [pytest.mark.system, pytest.mark.timeout(3600 if SOAK else 300)]


@pytest.fixture
async def pipeline(tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with Pipeline(tmp_path / "stack") as pipeline:
        await pipeline.strategies[0].wait_for_bars(30)
        yield pipeline


@pytest.fixture
async def engine(pipeline: Pipeline) -> AsyncIterator[DataEngine]:
    async with DataEngine(Config(bus=pipeline.stack.bus_config("client"))) as engine:
        yield engine


async def take(stream: BarStream, live_bars: int) -> list[TradeBar]:
    """Return history and `live_bars` live bars."""
    got: list[TradeBar] = []
    live = 0
    async with asyncio.timeout(LIMIT_S), stream:
        async for bar in stream:
            got.append(bar)
            live += stream.record.wall_ns > 0
            if live == live_bars:
                return got
    raise AssertionError


async def check(pipeline: Pipeline, got: list[TradeBar]) -> None:
    """Prove that every recorded minute of each symbol came once, in order, as recorded."""
    for symbol in SYMBOLS:
        truth = await pipeline.recording(symbol)
        mine = [bar for bar in got if bar.symbol == symbol]
        starts = [to_ns(bar.timestamp) for bar in mine]
        assert starts, symbol
        due = [start for start in sorted(truth) if starts[0] <= start <= starts[-1]]
        assert starts == due, f"{symbol}: {len(starts)} came, {len(due)} were recorded"
        for name in VALUES:
            recorded = [float(truth[start][name[0]]) for start in starts]
            assert [getattr(bar, name) for bar in mine] == recorded, f"{symbol}: {name} differs"


@pytest.mark.soak
async def test_a_stream_is_complete_when_a_process_is_killed_during_its_start(
    tmp_path: Path,
) -> None:
    chance = random.Random(RUNS)
    for done in range(0, RUNS, RUNS_OF_A_STACK):
        async with Pipeline(tmp_path / f"stack-{chance.random()}") as pipeline:
            await pipeline.strategies[0].wait_for_bars(30)
            config = Config(bus=pipeline.stack.bus_config("client"))
            for _ in range(min(RUNS - done, RUNS_OF_A_STACK)):
                await read_during_kill(pipeline, config, chance)


async def read_during_kill(pipeline: Pipeline, config: Config, chance: random.Random) -> None:
    """Kill a process while a stream is read, and compare the stream with the recording."""
    async with DataEngine(config) as engine:
        reading = asyncio.create_task(take(engine.bars(*SYMBOLS, since=LONG), LIVE_BARS))
        await asyncio.sleep(chance.uniform(0, 0.4))
        victim = chance.choice(VICTIMS)
        restarts = pipeline.stack.restarts[victim]
        pipeline.kill(victim)
        await pipeline.recovered(victim, restarts + 1)
        await check(pipeline, await reading)


async def test_two_streams_of_the_same_history_both_get_all_bars(
    pipeline: Pipeline, engine: DataEngine
) -> None:
    first, second = await asyncio.gather(
        take(engine.bars(*SYMBOLS, since=LONG), 5), take(engine.bars(*SYMBOLS, since=LONG), 5)
    )
    await check(pipeline, first)
    await check(pipeline, second)


async def test_a_named_stream_resumes_where_its_reader_stopped(
    pipeline: Pipeline, engine: DataEngine
) -> None:
    got = await take(engine.bars(*SYMBOLS, since=LONG, name="mine"), 10)
    await asyncio.sleep(1)
    rest = await take(engine.bars(*SYMBOLS, since=LONG, name="mine"), 20)
    # The bar that the reader was processing when it stopped may come once more.
    again = {(bar.symbol, bar.timestamp) for bar in got} & {
        (bar.symbol, bar.timestamp) for bar in rest
    }
    assert len(again) <= len(SYMBOLS)
    joined = [bar for bar in got if (bar.symbol, bar.timestamp) not in again] + rest
    await check(pipeline, joined)
    assert len(rest) < len(got)


async def test_slices_hold_the_bars_of_one_minute(pipeline: Pipeline, engine: DataEngine) -> None:
    slices: list[Slice] = []
    async with asyncio.timeout(LIMIT_S), engine.slices(SYMBOLS) as stream:
        async for one in stream:
            slices.append(one)
            if len(slices) == 20:
                break
    starts = [one.timestamp for one in slices if one.revision == 0]
    assert starts == sorted(set(starts))
    for one in slices:
        assert set(one.bars) | set(one.missing) == set(SYMBOLS)
        for symbol, bar in one.bars.items():
            assert (bar.symbol, bar.timestamp) == (symbol, one.timestamp)
    truth = {symbol: await pipeline.recording(symbol) for symbol in SYMBOLS}
    for one in slices:
        for symbol in one.missing:
            assert to_ns(one.timestamp) not in truth[symbol], f"{symbol} at {one.timestamp}"


async def test_final_bars_are_delivered_once_and_in_order(
    pipeline: Pipeline, engine: DataEngine
) -> None:
    got: list[TradeBar] = []
    stream = engine.bars("BTC/USD", revisions="final")
    with suppress(TimeoutError):
        async with asyncio.timeout(10), stream:
            async for bar in stream:
                got.append(bar)  # noqa: PERF401 - a timeout ends it, and what came is kept
    starts = [bar.timestamp for bar in got]
    assert len(starts) > 5
    assert starts == sorted(set(starts))
