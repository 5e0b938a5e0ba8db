"""What becomes of records: figures, grades, the cache, the callbacks."""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.blocks import empty_block, from_bars
from lean_lite.data import Bars, DataCache
from lean_lite.data.cache.disk import DiskCache, Key
from lean_lite.data.dispatch.dispatcher import Dispatcher, Pump
from lean_lite.data.dispatch.mailbox import UpdateSource
from lean_lite.data.history.query import HistoryQuery, build_query
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.errors import RequestError
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar
from lean_lite.quality import Check, Grader
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, live_bar
from tests.harness.forex_feed import CustomForexFeed

EMPTY = Bars(empty_block("iex"))
MINUTE = Resolution.MINUTE


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(cache_dir=tmp_path)


class Going:
    """Be a subscription that goes on."""

    stopped = False


def at(minute: int) -> datetime:
    return from_ns(NINE_THIRTY_NS + minute * MINUTE_NS)


def bar(minute: int, **changes: object) -> LiveBar:
    return live_bar(start_ns=NINE_THIRTY_NS + minute * MINUTE_NS, **changes)


def graded(minutes: int) -> Bars:
    block = block_of([Row().at(minute) for minute in range(minutes)])
    return Bars(Grader("equity").grade(1, block).block)


def history(minutes: int, *gaps: Gap, first: int = 0, simulated: bool = False) -> Bars:
    rows = [Row().at(minute) for minute in range(first, first + minutes)]
    return Bars(block_of(rows, simulated=simulated), gaps)


def asked_of(first: int, end: int, resolution: Resolution = MINUTE) -> HistoryQuery:
    return build_query("SPY", at(first), at(end), resolution)


async def keep(intake: Dispatcher, asked: HistoryQuery, bars: Bars) -> None:
    await intake.keep(asked, bars, intake.heard(asked))


ASKED = asked_of(0, 3)


async def take(intake: Dispatcher, *records: LiveBar) -> None:
    for record in records:
        await intake.take(Going(), record)


async def test_records_are_counted_graded_and_handed_on() -> None:
    intake = Dispatcher(None)
    got: list[tuple[str, TradeBar, DataQualityLevel]] = []
    intake.callbacks.add(lambda *update: got.append(update))
    handle = CustomForexFeed("mine")
    intake.begin("SPY", handle, EMPTY)
    invalid = bar(1, level=0, reasons=2)
    await take(intake, bar(0), invalid)
    await asyncio.sleep(0.01)
    assert [quality.name for _, _, quality in got] == ["EXCELLENT", "INVALID"]
    await intake.callbacks.stop()
    figures = intake.to_dict(waiting=3, symbols=["SPY"])
    assert (figures["total_messages"], figures["waiting"], figures["symbols"]) == (2, 3, ["SPY"])
    assert figures["quality"]["INVALID"] == 1
    # What is INVALID is in no buffer.
    assert list(handle.buffer) == [bar(0).bar()]


async def test_whole_history_of_a_subscribed_symbol_is_kept(cache: DataCache) -> None:
    intake = Dispatcher(cache)
    await keep(intake, ASKED, history(3))
    assert await intake.cached(ASKED) is None
    intake.begin("SPY", None, graded(5))
    await keep(intake, ASKED, history(3, Gap("SPY", 0, 1, "lost")))
    assert await intake.cached(ASKED) is None
    await keep(intake, ASKED, EMPTY)
    assert await intake.cached(ASKED) is None, "nothing tells whose history it is"
    await keep(intake, asked_of(0, 5), history(5))
    assert await intake.cached(asked_of(0, 5)) is None, "its end is not over"
    await keep(intake, ASKED, history(3))
    found = await intake.cached(ASKED)
    assert found is not None
    assert len(found) == 3
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["cache_hits"], figures["cache_misses"]) == (1, 3)


async def test_longer_bars_are_kept_when_the_last_of_them_is_over(cache: DataCache) -> None:
    intake = Dispatcher(cache)
    # Hours of [15:00, 16:20), asked for at 16:26 and at 17:01.
    asked = asked_of(30, 110, Resolution.HOUR)
    intake.begin("SPY", None, graded(117))
    await keep(intake, asked, fold_bars(history(87, first=30), Resolution.HOUR))
    assert await intake.cached(asked) is None
    await take(intake, *map(bar, range(117, 152)))
    whole = fold_bars(history(120, first=30), Resolution.HOUR)
    await keep(intake, asked, whole)
    for same in (asked, asked_of(20, 150, Resolution.HOUR)):
        assert list(await intake.cached(same) or ()) == list(whole)
    await take(intake, bar(112, volume=2.0, late=True))
    assert await intake.cached(asked) is None, "a bar behind the end that was asked for is changed"


async def test_daily_bars_are_kept_when_the_last_of_them_must_have_come(cache: DataCache) -> None:
    intake = Dispatcher(cache)
    # It starts at 5:00 in UTC, 570 minutes before ours.
    asked = asked_of(-600, 60, Resolution.DAILY)
    day = Bars(
        from_bars(
            [TradeBar("SPY", at(-570), 1, 1, 1, 1, 1, resolution=asked.resolution)], feed="iex"
        )
    )
    for hour, is_kept in ((2, False), (24, False), (32, False), (33, True)):
        intake.begin("SPY", None, EMPTY)
        await take(intake, bar(hour * 60 - 570))
        await keep(intake, asked, day)
        assert (await intake.cached(asked) is not None) == is_kept


async def test_an_invalid_bar_of_another_time_does_not_tell_that_a_span_is_over(
    cache: DataCache,
) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, graded(2))
    await take(intake, bar(10_000, level=0))
    await keep(intake, ASKED, history(2))
    assert await intake.cached(ASKED) is None


@pytest.mark.parametrize(("minute", "dropped"), [(0, True), (2, True), (3, False)])
async def test_a_correction_takes_what_it_touches_out_of_the_cache(
    cache: DataCache, tmp_path: Path, minute: int, *, dropped: bool
) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, EMPTY)
    await take(intake, *map(bar, range(5)))
    await keep(intake, ASKED, history(3))
    await take(intake, bar(5))
    assert await intake.cached(ASKED) is not None
    await take(intake, bar(minute, volume=2.0, late=True))
    assert (await intake.cached(ASKED) is None) == dropped
    on_disk = DataCache(cache_dir=tmp_path).get("SPY", MINUTE, at(0), at(3))
    assert (on_disk is None) == dropped


async def test_what_is_no_longer_heard_of_is_no_longer_cached(cache: DataCache) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, graded(10))
    await keep(intake, ASKED, history(3))
    intake.end("SPY")
    assert cache.get("SPY", MINUTE, at(0), at(3)) is None


async def test_what_a_killed_engine_has_kept_is_let_go_of(cache: DataCache, tmp_path: Path) -> None:
    killed = Dispatcher(cache)
    killed.begin("SPY", None, graded(10))
    await keep(killed, ASKED, history(3))
    again = DataCache(cache_dir=tmp_path)
    intake = Dispatcher(again)
    intake.begin("SPY", None, graded(10))
    assert await intake.cached(ASKED) is None
    assert again.get("SPY", MINUTE, at(0), at(3)) is None


async def test_what_another_engine_has_kept_is_trusted_when_it_has_the_same_source(
    cache: DataCache, tmp_path: Path
) -> None:
    live, other, demo = (
        Dispatcher(cache),
        *(Dispatcher(DataCache(cache_dir=tmp_path)) for _ in range(2)),
    )
    for intake in (live, other, demo):
        intake.begin("SPY", None, graded(10))
    await keep(demo, ASKED, history(3, simulated=True))
    assert await live.cached(ASKED) is None, "it has kept nothing that tells its own source"
    await keep(live, asked_of(0, 2), history(2))
    assert await live.cached(ASKED) is None, "it is simulated"
    await keep(other, asked_of(0, 4), history(4))
    assert await live.cached(asked_of(0, 4)) is not None
    assert await demo.cached(asked_of(0, 2)) is None
    figures = [one.to_dict(waiting=0, symbols=[]) for one in (live, demo)]
    assert [(one["cache_hits"], one["cache_misses"]) for one in figures] == [(1, 2), (0, 1)]


@pytest.mark.parametrize("happening", ["correction", "end and begin"])
async def test_history_that_was_revised_while_it_was_fetched_is_not_kept(
    cache: DataCache, happening: str
) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, graded(10))
    heard = intake.heard(ASKED)
    if happening == "correction":
        await take(intake, bar(1, volume=2.0, late=True))
    else:
        intake.end("SPY")
        intake.begin("SPY", None, graded(10))
    await intake.keep(ASKED, history(3), heard)
    assert await intake.cached(ASKED) is None
    assert cache.get("SPY", MINUTE, at(0), at(3)) is None


async def test_history_is_kept_though_another_time_was_revised_while_it_was_fetched(
    cache: DataCache,
) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, graded(10))
    heard = intake.heard(ASKED)
    await take(intake, bar(3, volume=2.0, late=True), bar(1, symbol="QQQ", late=True))
    await intake.keep(ASKED, history(3), heard)
    assert await intake.cached(ASKED) is not None


async def test_a_bar_that_came_while_history_was_fetched_does_not_tell_that_it_has_it(
    cache: DataCache,
) -> None:
    intake = Dispatcher(cache)
    intake.begin("SPY", None, graded(3))
    heard = intake.heard(ASKED)
    await take(intake, bar(3))
    await intake.keep(ASKED, history(2), heard)
    assert await intake.cached(ASKED) is None


async def test_history_that_is_revised_while_it_waits_for_a_thread_is_not_kept(
    cache: DataCache,
) -> None:
    intake, free = Dispatcher(cache), threading.Event()
    intake.begin("SPY", None, graded(10))
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        busy = asyncio.create_task(asyncio.to_thread(free.wait, 5))
        keeping = asyncio.create_task(keep(intake, ASKED, history(3)))
        await asyncio.sleep(0.01)
        await take(intake, bar(1, volume=2.0, late=True))
        free.set()
        await asyncio.gather(busy, keeping)
        assert await intake.cached(ASKED) is None


class Watched(DiskCache):
    """Tell of every entry that is about to be written, or was just read, in the same thread."""

    tell: Callable[[], None]

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        self.tell()
        super().write(key, bars, wanted)

    def read(self, key: Key) -> Bars | None:
        found = super().read(key)
        self.tell()
        return found


async def test_the_disk_is_used_in_a_thread_and_what_is_corrected_meanwhile_is_not_kept(
    cache: DataCache, tmp_path: Path
) -> None:
    loop, intake, threads = asyncio.get_running_loop(), Dispatcher(cache), list[threading.Thread]()
    cache._disk = watched = Watched(tmp_path, 10**6)

    def correct() -> None:
        threads.append(threading.current_thread())
        correction = take(intake, bar(1, volume=2.0, late=True))
        asyncio.run_coroutine_threadsafe(correction, loop).result(5)

    watched.tell = correct
    intake.begin("SPY", None, graded(10))
    await keep(intake, ASKED, history(3))
    assert await intake.cached(ASKED) is None
    assert DataCache(cache_dir=tmp_path).get("SPY", MINUTE, at(0), at(3)) is None
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_reports_begin_with_what_is_stored() -> None:
    intake = Dispatcher(None)
    known = block_of([Row().at(0)], simulated=True)
    poor = {"level": np.array([1], "|u1"), "reasons": np.array([Check.B04_COUNT.mask], "<u8")}
    intake.begin("SPY", None, Bars(known.with_columns(**poor)))
    await take(intake, bar(1, simulated=True))
    report = intake.report("SPY", hours=1)
    assert report["reasons"] == {"B04_COUNT": 1}
    assert report["levels"]["POOR"] == report["levels"]["EXCELLENT"] == 1
    with pytest.raises(RequestError, match=r"AAPL is not subscribed \(subscribed: SPY\)"):
        intake.report("AAPL", 1)


async def test_figures_count_every_record_once() -> None:
    intake, got = Dispatcher(None), list[tuple[TradeBar, DataQualityLevel]]()
    intake.callbacks.add(lambda _, got_bar, quality: got.append((got_bar, quality)))
    levels = (4, 4, 3, 0)
    records = [bar(minute, level=level, wall_ns=minute) for minute, level in enumerate(levels)]
    await intake.take_all([(Going(), record) for record in records[:3]])
    await intake.take_all([(Going(), records[3])])
    await asyncio.sleep(0)
    assert got == [(record.bar(), record.quality) for record in records]
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["total_messages"], figures["error_count"]) == (4, 0)
    assert figures["quality"] == {"EXCELLENT": 2, "GOOD": 1, "FAIR": 0, "POOR": 0, "INVALID": 1}
    await intake.callbacks.stop()


@pytest.mark.parametrize(
    "wrong",
    [live_bar(level=9), live_bar(level=-1), live_bar(resolution_s=-1), live_bar(start_ns=2**80)],
)
async def test_a_record_that_makes_no_bar_is_counted_and_harms_no_other(wrong: LiveBar) -> None:
    intake, got = Dispatcher(None), list[TradeBar]()
    intake.callbacks.add(lambda _, got_bar, quality: got.append(got_bar))
    await intake.take_all([(Going(), record) for record in (live_bar(), wrong, live_bar())])
    await asyncio.sleep(0)
    assert got == [live_bar().bar()] * 2
    figures = intake.to_dict(waiting=0, symbols=[])
    assert (figures["total_messages"], figures["error_count"]) == (2, 1)
    await intake.callbacks.stop()


class Step(NamedTuple):
    """Say what happens to one of two engines, and what else while it gets history."""

    engine: int
    what: str
    first: int
    minutes: int
    resolution: Resolution
    meanwhile: str


class World:
    """Be an engine with a store: what it answers from the cache is what the store would answer."""

    def __init__(self, folder: str, number: int) -> None:
        self.folder, self.number = folder, number
        self.volumes = [float(minute) for minute in range(10)]
        self.starts()

    def starts(self) -> None:
        """Start for the first time, or after it was killed."""
        self.intake = Dispatcher(DataCache(2, self.folder))
        self.intake.begin("SPY", None, self.stored(asked_of(0, len(self.volumes))))

    def stored(self, asked: HistoryQuery) -> Bars:
        rows = [Row(volume=volume).at(at) for at, volume in enumerate(self.volumes)]
        span = range(asked.request.start_ns, asked.request.end_ns)
        rows = [row for row in rows if row.start_ns in span]
        bars = Bars(block_of(rows, simulated=bool(self.number)))
        level = np.full(len(rows), 4, "|u1")
        reasons = np.zeros(len(rows), "<u8")
        bars = Bars(bars.block.with_columns(level=level, reasons=reasons))
        return bars if asked.is_stored else fold_bars(bars, asked.resolution)

    async def does(self, step: Step, what: str) -> None:
        match what:
            case "bars":
                for _ in range(step.minutes):
                    self.volumes.append(float(len(self.volumes)))
                    await take(self.intake, bar(len(self.volumes) - 1))
            case "correction":
                minute = self.revises(step.first)
                await take(self.intake, bar(minute, late=True))
            case "kill":
                self.revises(step.first)
                self.starts()
            case "history":
                await self.asks(step)

    def revises(self, first: int) -> int:
        minute = first % len(self.volumes)
        self.volumes[minute] += 1_000
        return minute

    async def asks(self, step: Step) -> None:
        asked = asked_of(step.first, step.first + step.minutes, step.resolution)
        found = await self.intake.cached(asked)
        if found is not None:
            assert list(found) == list(self.stored(asked))
            assert found.block.simulated == bool(self.number)
            return
        heard = self.intake.heard(asked)
        bars = self.stored(asked)
        await self.does(step, step.meanwhile)
        await self.intake.keep(asked, bars, heard)


# Few spans, so that most are asked for again.
whats = st.sampled_from(["bars", "correction", "kill", "history", "history", "history"])
steps = st.builds(
    Step,
    engine=st.integers(0, 1),
    what=whats,
    first=st.sampled_from([0, 4]),
    minutes=st.sampled_from([3, 7]),
    resolution=st.sampled_from([MINUTE, Resolution("5min")]),
    meanwhile=st.sampled_from(["nothing", "nothing", "bars", "correction"]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(steps, max_size=25))
def test_what_is_cached_is_what_the_store_would_answer(steps: list[Step]) -> None:
    async def run(folder: str) -> None:
        worlds = [World(folder, number) for number in range(2)]
        for step in steps:
            world = worlds[step.engine]
            await world.does(step, step.what)
            await world.asks(step)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


class Stumbling(Dispatcher):
    """Fail with the first bars."""

    failed = False

    async def take_all(self, arrivals: Sequence[tuple[UpdateSource, LiveBar]]) -> None:
        if not self.failed:
            self.failed = True
            message = "the disk, perhaps"
            raise OSError(message)
        await super().take_all(arrivals)


async def test_bars_of_subscribed_symbols_are_handed_on() -> None:
    got: list[str] = []
    intake = Dispatcher(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(), live_bar(symbol="AAPL"), live_bar(seq=8)])
    await asyncio.sleep(0.01)
    await pump.stop()
    assert got == ["SPY", "SPY"]


async def test_what_fails_is_counted_and_the_bars_behind_it_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got: list[str] = []
    intake = Stumbling(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    for seq in range(3):
        pump.queue.put([live_bar(seq=seq)])
        await asyncio.sleep(0.01)
    await pump.stop()
    assert got == ["SPY", "SPY"]
    assert intake.metrics.error_count == 1
    assert "pump.failed" in caplog.messages


@pytest.mark.parametrize("bound", [8_192, 3])
async def test_nothing_is_dropped_for_a_callback_that_is_quick(bound: int) -> None:
    got: list[str] = []
    other: list[str] = []
    intake = Dispatcher(None)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol), policy="drop_oldest", bound=bound)
    intake.callbacks.add(lambda symbol, *_: other.append(symbol), policy="latest")
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(seq=seq) for seq in range(10_000)])
    while len(pump.queue) or intake.callbacks.to_list()[0]["waiting"]:
        await asyncio.sleep(0.01)
    await pump.stop()
    assert len(got) == 10_000
    assert len(other) > 3


async def test_one_that_drops_and_waits_long_holds_nobody() -> None:
    got: list[str] = []
    gate = asyncio.Event()

    async def slow(*_: object) -> None:
        await gate.wait()

    intake = Dispatcher(None)
    intake.callbacks.add(slow, policy="drop_oldest", bound=300)
    intake.callbacks.add(lambda symbol, *_: got.append(symbol))
    pump = Pump({"SPY": Going()}, intake)
    pump.start()
    pump.queue.put([live_bar(seq=seq) for seq in range(5_000)])
    async with asyncio.timeout(30):
        while len(got) < 5_000:
            await asyncio.sleep(0.01)
    await pump.stop()
    await intake.callbacks.stop()
    assert intake.callbacks.to_list()[0]["dropped"] == 5_000 - 301
