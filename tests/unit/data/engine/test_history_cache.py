"""Cached history never differs from what the store would answer."""

import asyncio
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.blocks import empty_block, from_bars
from lean_lite.data import Bars, DataCache, DataMetrics
from lean_lite.data.cache.disk import DiskCache, Key
from lean_lite.data.dispatch.dispatcher import Dispatcher
from lean_lite.data.engine.history_cache import HistoryCache, PendingSpan
from lean_lite.data.history.query import HistoryQuery, build_query
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar
from lean_lite.quality import Grader
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of, live_bar

EMPTY = Bars(empty_block("iex"))
MINUTE = Resolution.MINUTE


class ActiveSource:
    stopped = False


class Client:
    """A history cache and a dispatcher, connected as in an engine."""

    def __init__(self, cache: DataCache) -> None:
        self.metrics = DataMetrics()
        self.cache = HistoryCache(cache, self.metrics)
        self.dispatcher = Dispatcher(self.metrics, self.cache.invalidate)

    def subscribe(self, stored: Bars) -> None:
        self.cache.track("SPY")
        self.dispatcher.add_symbol("SPY", ActiveSource(), stored)

    def unsubscribe(self) -> None:
        self.dispatcher.remove_symbol("SPY")
        self.cache.untrack("SPY")

    def watch(self, query: HistoryQuery) -> PendingSpan | None:
        return self.cache.watch(query, self.dispatcher.newest_ns(query.symbol))

    async def put(self, query: HistoryQuery, bars: Bars) -> None:
        await self.cache.put(query, bars, self.watch(query))

    async def get(self, query: HistoryQuery) -> Bars | None:
        return await self.cache.get(query)

    async def receive(self, *records: LiveBar) -> None:
        for record in records:
            await self.dispatcher.dispatch(ActiveSource(), record)

    @property
    def hits_and_misses(self) -> tuple[int, int]:
        figures = self.metrics.to_dict()
        return figures["cache_hits"], figures["cache_misses"]


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(cache_dir=tmp_path)


@pytest.fixture
def client(cache: DataCache) -> Client:
    return Client(cache)


def at(minute: int) -> datetime:
    return from_ns(NINE_THIRTY_NS + minute * MINUTE_NS)


def bar(minute: int, **changes: object) -> LiveBar:
    return live_bar(start_ns=NINE_THIRTY_NS + minute * MINUTE_NS, **changes)


def correction(minute: int, **changes: object) -> LiveBar:
    return bar(minute, volume=2.0, late=True, **changes)


def graded(minutes: int) -> Bars:
    block = block_of([Row().at(minute) for minute in range(minutes)])
    return Bars(Grader("equity").grade(1, block).block)


def history(minutes: int, *gaps: Gap, first: int = 0, simulated: bool = False) -> Bars:
    rows = [Row().at(minute) for minute in range(first, first + minutes)]
    return Bars(block_of(rows, simulated=simulated), gaps)


def query_of(first: int, end: int, resolution: Resolution = MINUTE) -> HistoryQuery:
    return build_query("SPY", at(first), at(end), resolution)


QUERY = query_of(0, 3)


async def test_complete_and_closed_history_of_a_subscribed_symbol_is_cached(client: Client) -> None:
    await client.put(QUERY, history(3))
    assert await client.get(QUERY) is None, "the symbol is not subscribed"
    client.subscribe(graded(5))
    await client.put(QUERY, history(3, Gap("SPY", 0, 1, "lost")))
    assert await client.get(QUERY) is None, "the answer has a gap"
    await client.put(QUERY, EMPTY)
    assert await client.get(QUERY) is None, "the feed of an empty answer is unknown"
    await client.put(query_of(0, 5), history(5))
    assert await client.get(query_of(0, 5)) is None, "the span is not closed"
    await client.put(QUERY, history(3))
    found = await client.get(QUERY)
    assert found is not None
    assert len(found) == 3
    assert client.hits_and_misses == (1, 3)


async def test_longer_bars_are_cached_once_the_last_of_them_is_closed(client: Client) -> None:
    # Hours of [15:00, 16:20), requested at 16:26 and at 17:01.
    query = query_of(30, 110, Resolution.HOUR)
    client.subscribe(graded(117))
    await client.put(query, fold_bars(history(87, first=30), Resolution.HOUR))
    assert await client.get(query) is None
    await client.receive(*map(bar, range(117, 152)))
    complete = fold_bars(history(120, first=30), Resolution.HOUR)
    await client.put(query, complete)
    for same in (query, query_of(20, 150, Resolution.HOUR)):
        assert list(await client.get(same) or ()) == list(complete)
    await client.receive(correction(112))
    assert await client.get(query) is None, "the correction is in the last bucket, after 16:20"


async def test_daily_bars_are_cached_once_the_last_of_them_must_be_stored(client: Client) -> None:
    # The day starts at 5:00 UTC, 570 minutes before the first bar.
    query = query_of(-600, 60, Resolution.DAILY)
    day = Bars(
        from_bars(
            [TradeBar("SPY", at(-570), 1, 1, 1, 1, 1, resolution=query.resolution)], feed="iex"
        )
    )
    for hour, is_cached in ((2, False), (24, False), (32, False), (33, True)):
        client.subscribe(EMPTY)
        await client.receive(bar(hour * 60 - 570))
        await client.put(query, day)
        assert (await client.get(query) is not None) == is_cached


async def test_an_invalid_bar_from_the_future_does_not_close_a_span(client: Client) -> None:
    client.subscribe(graded(2))
    await client.receive(bar(10_000, level=0))
    await client.put(QUERY, history(2))
    assert await client.get(QUERY) is None


@pytest.mark.parametrize(("minute", "dropped"), [(0, True), (2, True), (3, False)])
async def test_a_correction_drops_the_entries_whose_span_contains_it(
    client: Client, tmp_path: Path, minute: int, *, dropped: bool
) -> None:
    client.subscribe(EMPTY)
    await client.receive(*map(bar, range(5)))
    await client.put(QUERY, history(3))
    await client.receive(bar(5))
    assert await client.get(QUERY) is not None
    await client.receive(correction(minute))
    assert (await client.get(QUERY) is None) == dropped
    on_disk = DataCache(cache_dir=tmp_path).get("SPY", MINUTE, at(0), at(3))
    assert (on_disk is None) == dropped


async def test_unsubscribing_drops_the_entries_of_a_symbol(
    client: Client, cache: DataCache
) -> None:
    client.subscribe(graded(10))
    await client.put(QUERY, history(3))
    client.unsubscribe()
    assert cache.get("SPY", MINUTE, at(0), at(3)) is None


async def test_entries_of_a_killed_process_are_dropped(client: Client, tmp_path: Path) -> None:
    client.subscribe(graded(10))
    await client.put(QUERY, history(3))
    cache = DataCache(cache_dir=tmp_path)
    restarted = Client(cache)
    restarted.subscribe(graded(10))
    assert await restarted.get(QUERY) is None
    assert cache.get("SPY", MINUTE, at(0), at(3)) is None


async def test_entries_of_another_process_are_used_if_they_have_the_same_source(
    tmp_path: Path,
) -> None:
    live, other, demo = (Client(DataCache(cache_dir=tmp_path)) for _ in range(3))
    for client in (live, other, demo):
        client.subscribe(graded(10))
    await demo.put(QUERY, history(3, simulated=True))
    assert await live.get(QUERY) is None, "the source of the live client is not known yet"
    await live.put(query_of(0, 2), history(2))
    assert await live.get(QUERY) is None, "the entry is simulated"
    await other.put(query_of(0, 4), history(4))
    assert await live.get(query_of(0, 4)) is not None
    assert await demo.get(query_of(0, 2)) is None
    assert [live.hits_and_misses, demo.hits_and_misses] == [(1, 2), (0, 1)]


@pytest.mark.parametrize("event", ["correction", "resubscription"])
async def test_history_that_was_revised_during_its_fetch_is_not_cached(
    client: Client, cache: DataCache, event: str
) -> None:
    client.subscribe(graded(10))
    watch = client.watch(QUERY)
    if event == "correction":
        await client.receive(correction(1))
    else:
        client.unsubscribe()
        client.subscribe(graded(10))
    await client.cache.put(QUERY, history(3), watch)
    assert await client.get(QUERY) is None
    assert cache.get("SPY", MINUTE, at(0), at(3)) is None


async def test_corrections_of_other_spans_and_symbols_do_not_prevent_caching(
    client: Client,
) -> None:
    client.subscribe(graded(10))
    watch = client.watch(QUERY)
    await client.receive(correction(3), correction(1, symbol="QQQ"))
    await client.cache.put(QUERY, history(3), watch)
    assert await client.get(QUERY) is not None


async def test_a_span_that_was_closed_during_its_fetch_is_not_cached(client: Client) -> None:
    client.subscribe(graded(3))
    watch = client.watch(QUERY)
    await client.receive(bar(3))
    await client.cache.put(QUERY, history(2), watch)
    assert await client.get(QUERY) is None


async def test_history_that_is_revised_while_it_waits_for_a_thread_is_not_cached(
    client: Client,
) -> None:
    free = threading.Event()
    client.subscribe(graded(10))
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        busy = asyncio.create_task(asyncio.to_thread(free.wait, 5))
        putting = asyncio.create_task(client.put(QUERY, history(3)))
        await asyncio.sleep(0.01)
        await client.receive(correction(1))
        free.set()
        await asyncio.gather(busy, putting)
        assert await client.get(QUERY) is None


class ObservedDisk(DiskCache):
    """Calls a function before each write and after each read, in the same thread."""

    on_access: Callable[[], None]

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        self.on_access()
        super().write(key, bars, wanted)

    def read(self, key: Key) -> Bars | None:
        found = super().read(key)
        self.on_access()
        return found


async def test_the_disk_is_used_in_a_thread_and_bars_corrected_meanwhile_are_not_cached(
    client: Client, cache: DataCache, tmp_path: Path
) -> None:
    loop, threads = asyncio.get_running_loop(), list[threading.Thread]()
    cache._disk = disk = ObservedDisk(tmp_path, 10**6)

    def correct() -> None:
        threads.append(threading.current_thread())
        receiving = client.receive(correction(1))
        asyncio.run_coroutine_threadsafe(receiving, loop).result(5)

    disk.on_access = correct
    client.subscribe(graded(10))
    await client.put(QUERY, history(3))
    assert await client.get(QUERY) is None
    assert DataCache(cache_dir=tmp_path).get("SPY", MINUTE, at(0), at(3)) is None
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_without_a_cache_nothing_is_cached_or_counted() -> None:
    metrics = DataMetrics()
    history_cache = HistoryCache(None, metrics)
    history_cache.track("SPY")
    watch = history_cache.watch(QUERY, NINE_THIRTY_NS + 9 * MINUTE_NS)
    await history_cache.put(QUERY, history(3), watch)
    assert (watch, await history_cache.get(QUERY)) == (None, None)
    assert metrics.to_dict()["cache_misses"] == 0


class Step(NamedTuple):
    """An event at one of two clients, and another one while it fetches history."""

    client: int
    event: str
    first: int
    minutes: int
    resolution: Resolution
    meanwhile: str


class ClientWithStore:
    """A client and its store: what the cache answers is what the store would answer."""

    def __init__(self, folder: str, number: int) -> None:
        self.folder, self.number = folder, number
        self.volumes = [float(minute) for minute in range(10)]
        self.start()

    def start(self) -> None:
        """Start for the first time, or after a kill."""
        self.client = Client(DataCache(2, self.folder))
        self.client.subscribe(self.stored(query_of(0, len(self.volumes))))

    def stored(self, query: HistoryQuery) -> Bars:
        rows = [Row(volume=volume).at(minute) for minute, volume in enumerate(self.volumes)]
        span = range(query.request.start_ns, query.request.end_ns)
        rows = [row for row in rows if row.start_ns in span]
        block = block_of(rows, simulated=bool(self.number))
        level = np.full(len(rows), 4, "|u1")
        reasons = np.zeros(len(rows), "<u8")
        bars = Bars(block.with_columns(level=level, reasons=reasons))
        return bars if query.is_stored else fold_bars(bars, query.resolution)

    async def apply(self, step: Step, event: str) -> None:
        match event:
            case "bars":
                for _ in range(step.minutes):
                    self.volumes.append(float(len(self.volumes)))
                    await self.client.receive(bar(len(self.volumes) - 1))
            case "correction":
                await self.client.receive(correction(self.revise(step.first)))
            case "kill":
                self.revise(step.first)
                self.start()
            case "history":
                await self.request(step)

    def revise(self, first: int) -> int:
        minute = first % len(self.volumes)
        self.volumes[minute] += 1_000
        return minute

    async def request(self, step: Step) -> None:
        query = query_of(step.first, step.first + step.minutes, step.resolution)
        found = await self.client.get(query)
        if found is not None:
            assert list(found) == list(self.stored(query))
            assert found.block.simulated == bool(self.number)
            return
        watch = self.client.watch(query)
        bars = self.stored(query)
        await self.apply(step, step.meanwhile)
        await self.client.cache.put(query, bars, watch)


# Few spans, so that most are requested again.
events = st.sampled_from(["bars", "correction", "kill", "history", "history", "history"])
steps = st.builds(
    Step,
    client=st.integers(0, 1),
    event=events,
    first=st.sampled_from([0, 4]),
    minutes=st.sampled_from([3, 7]),
    resolution=st.sampled_from([MINUTE, Resolution("5min")]),
    meanwhile=st.sampled_from(["nothing", "nothing", "bars", "correction"]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(steps, max_size=25))
def test_the_cache_answers_what_the_store_would_answer(steps: list[Step]) -> None:
    async def run(folder: str) -> None:
        clients = [ClientWithStore(folder, number) for number in range(2)]
        for step in steps:
            client = clients[step.client]
            await client.apply(step, step.event)
            await client.request(step)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))
