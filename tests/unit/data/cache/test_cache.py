import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lean_lite.blocks import from_bars
from lean_lite.config.environment import cache_folder
from lean_lite.data import Bars, DataCache
from lean_lite.data.cache.disk import DiskCache, Key
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol.history import Gap
from tests.harness.small_disk import mounted

START = datetime(2026, 11, 23, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# Memory of one bar: its columns and its flag in `partial`.
ROW_BYTES = 76


def bars_of(count: int, close: float = 1.0, symbol: str = "AAPL") -> list[TradeBar]:
    return [TradeBar(symbol, START + n * MINUTE, 1, 9, 1, close, n) for n in range(count)]


def day(number: int) -> tuple[datetime, datetime]:
    return START + number * DAY, START + (number + 1) * DAY


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(cache_dir=tmp_path / "cache")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def reopened(tmp_path: Path) -> DataCache:
    """Return a second cache of the same folder, like that of the next run or of another process."""
    return DataCache(cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_bars_are_returned_from_memory_and_from_disk(
    cache: DataCache, tmp_path: Path, count: int
) -> None:
    bars = bars_of(count)
    cache.put("AAPL", "1Min", *day(0), bars)
    for one in (cache, reopened(tmp_path)):
        found = one.get("AAPL", "1Min", *day(0))
        assert found is not None
        assert list(found) == bars
        assert found.resolution is Resolution.MINUTE
        assert (one.hits, one.misses, one.hit_rate) == (1, 0, 1.0)


def test_an_empty_entry_has_the_resolution_of_its_key(cache: DataCache, tmp_path: Path) -> None:
    cache.put("AAPL", Resolution.HOUR, *day(0), [])
    for one in (cache, reopened(tmp_path)):
        found = one.get("AAPL", "1Hour", *day(0))
        assert found is not None
        assert (len(found), found.resolution) == (0, Resolution.HOUR)


def test_gaps_grades_and_partial_flags_are_returned_from_disk(
    cache: DataCache, tmp_path: Path
) -> None:
    block = from_bars(bars_of(5_000), feed="iex", simulated=True)
    numbers = np.arange(len(block))
    graded = block.with_columns(
        level=(numbers % 5).astype("|u1"),
        reasons=numbers.astype("<u8") << np.uint64(20),
        seq=numbers,
        stored_ns=numbers + 7,
        vwap=np.where(numbers % 2, 1.5, np.nan),
    )
    gaps = (Gap("AAPL", 1, 2, "not served"),)
    partial = numbers % 7 == 3
    cache.put("AAPL", "1Min", *day(0), Bars(graded, gaps, 390, partial))
    found = reopened(tmp_path).get("AAPL", "1Min", *day(0))
    assert found is not None
    assert (found.gaps, found.expected, found.partial.tolist()) == (gaps, 390, partial.tolist())
    assert found.partial.dtype == np.bool_
    assert (found.block.feed, found.block.simulated) == ("iex", True)
    assert found.block.columns.keys() == graded.columns.keys()
    for name, column in graded.columns.items():
        np.testing.assert_array_equal(found.block[name], column)


@pytest.mark.parametrize(
    ("texts", "resolution"),
    [
        (["1Min", "1min", "minute", "MINUTE", "60s", "60Sec", "01Min"], Resolution.MINUTE),
        (["5Min", "5min", "300s"], Resolution("5min")),
        (["1Hour", "hour", "60Min"], Resolution.HOUR),
        (["1Day", "daily", "24Hour", "1d"], Resolution.DAILY),
        (["1Week", "7Day", "7d"], Resolution("7d")),
        (["1Sec", "second"], Resolution.SECOND),
    ],
)
def test_a_resolution_may_be_written_as_alpaca_writes_it(
    cache: DataCache, texts: list[str], resolution: Resolution
) -> None:
    cache.put("AAPL", resolution, *day(0), [])
    assert all(cache.get("AAPL", text, *day(0)) is not None for text in texts)


@pytest.mark.parametrize("text", ["", "Min", "0Min", "1Month", "1.5Min", "²Min", "weekly"])
def test_an_invalid_resolution_is_refused(cache: DataCache, text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid resolution .*: use Resolution\.MINUTE, '5min'"):
        cache.get("AAPL", text, *day(0))


def test_bars_of_another_symbol_or_resolution_are_refused(cache: DataCache) -> None:
    for symbol, resolution in (("MSFT", "1Min"), ("AAPL", "1Hour")):
        with pytest.raises(
            ValueError, match=r"AAPL: 1 x minute> can't be cached as .* use their own"
        ):
            cache.put(symbol, resolution, *day(0), bars_of(1))
    both = Bars(from_bars([*bars_of(1), *bars_of(1, symbol="MSFT")], feed="iex"))
    with pytest.raises(ValueError, match="can't be cached as minute bars of AAPL"):
        cache.put("AAPL", "1Min", *day(0), both)
    # A slice with bars of one of the two symbols is accepted.
    cache.put("AAPL", "1Min", *day(0), both[:1])
    assert len(cache) == 1


def test_another_symbol_resolution_or_span_is_a_miss(cache: DataCache) -> None:
    cache.put("AAPL", "1Min", *day(0), bars_of(1))
    others = [
        ("MSFT", "1Min", *day(0)),
        ("AAPL", "5Min", *day(0)),
        ("AAPL", "1Min", *day(1)),
        ("AAPL", "1Min", START, START + DAY / 2),
    ]
    assert [cache.get(*other) for other in others] == [None] * 4
    assert (cache.hits, cache.misses, cache.hit_rate) == (0, 4, 0.0)


@pytest.mark.parametrize("symbol", ["BTC/USD", "BRK.B", "..", "", "a_b", "日本", "x" * 60])
def test_any_symbol_has_its_own_file(cache: DataCache, tmp_path: Path, symbol: str) -> None:
    cache.put(symbol, "1Min", *day(0), bars_of(3, symbol=symbol))
    cache.put(symbol + "_", "1Min", *day(0), [])
    assert len(files_in(tmp_path / "cache")) == 2
    found = reopened(tmp_path).get(symbol, "1Min", *day(0))
    assert found is not None
    assert list(found) == bars_of(3, symbol=symbol)
    assert reopened(tmp_path).invalidate(symbol, *day(0)) == 1
    assert reopened(tmp_path).get(symbol, "1Min", *day(0)) is None
    assert reopened(tmp_path).get(symbol + "_", "1Min", *day(0)) is not None


def test_a_cached_slice_does_not_reference_the_original_array() -> None:
    cache = DataCache(disk=False)
    original = Bars.of(bars_of(1_000))
    cache.put("AAPL", "1Min", *day(0), original[::100])
    found = cache.get("AAPL", "1Min", *day(0))
    assert found is not None
    assert list(found) == list(original)[::100]
    for name, column in found.block.columns.items():
        assert not np.shares_memory(column, original.block[name])
    cache.put("AAPL", "1Min", *day(0), original)
    assert cache.get("AAPL", "1Min", *day(0))[0] == original[0]  # type: ignore[index]


def test_an_entry_that_is_too_large_evicts_no_other_entry(tmp_path: Path) -> None:
    cache = DataCache(cache_dir=tmp_path, max_bytes=10 * ROW_BYTES, max_disk_bytes=3_000)
    cache.put("AAPL", "1Min", *day(0), bars_of(5))
    cache.put("AAPL", "1Min", *day(1), bars_of(100))
    assert len(cache) == 1
    assert len(files_in(tmp_path)) == 1
    # But it replaces the smaller entry of its own key.
    cache.put("AAPL", "1Min", *day(0), bars_of(100))
    assert cache.get("AAPL", "1Min", *day(0)) is None
    assert not files_in(tmp_path)


@pytest.mark.parametrize("bounds", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_bound_below_one_is_refused(bounds: tuple[int, int, int]) -> None:
    size, memory, disk = bounds
    with pytest.raises(ValueError, match="must be 1 or more"):
        DataCache(size, max_bytes=memory, max_disk_bytes=disk)


def test_the_default_folder_is_the_cache_folder_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    DataCache().put("AAPL", "1Min", *day(0), [])
    assert cache_folder() == tmp_path / "lean-lite"
    assert len(files_in(cache_folder())) == 1


def test_a_cache_without_disk_writes_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = DataCache(disk=False)
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    assert cache.invalidate("AAPL", *day(0)) == 1
    cache.clear()
    assert (cache.corrupt, cache.failed, list(tmp_path.iterdir())) == (0, 0, [])


def test_a_folder_that_can_not_be_created_is_counted_and_memory_still_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = DataCache(cache_dir=tmp_path / "file" / "cache")
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    assert cache.get("AAPL", "1Min", *day(1)) is None
    assert cache.invalidate("AAPL", *day(0)) == 1
    cache.clear()
    assert cache.failed == 1
    (record,) = caplog.records
    assert record.name == "lean_lite.data.cache.disk"
    assert record.message.startswith(f"could not write to the cache {tmp_path / 'file' / 'cache'}")


class InterruptedDisk(DiskCache):
    """Disk cache that calls `interruption` once, before a write or after a read."""

    interruption: Callable[[], object] | None = None

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        self._interrupt()
        super().write(key, bars, wanted)

    def read(self, key: Key) -> Bars | None:
        found = super().read(key)
        self._interrupt()
        return found

    def _interrupt(self) -> None:
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            interruption()


def interrupt(
    cache: DataCache, interruption: Callable[[], object] | None = None
) -> InterruptedDisk:
    """Replace the disk of a cache by one that is interrupted during the next read or write."""
    assert cache._disk is not None
    disk = cache._disk = InterruptedDisk(cache._disk.path, cache._disk._max_bytes)
    disk.interruption = interruption
    return disk


def test_an_entry_invalidated_while_it_is_read_does_not_enter_memory(
    cache: DataCache, tmp_path: Path
) -> None:
    reopened(tmp_path).put("AAPL", "1Min", *day(0), bars_of(3))
    interrupt(cache, lambda: cache.invalidate("AAPL", *day(0)))
    # The read started before the invalidation: its result is returned but not cached.
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    assert cache.get("AAPL", "1Min", *day(0)) is None


@pytest.mark.parametrize("removal", ["invalidate", "clear"])
def test_an_entry_removed_while_it_is_written_leaves_no_file(
    cache: DataCache, tmp_path: Path, removal: str
) -> None:
    calls = {"invalidate": lambda: cache.invalidate("AAPL", *day(0)), "clear": cache.clear}
    interrupt(cache, calls[removal])
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    assert cache.get("AAPL", "1Min", *day(0)) is None
    assert reopened(tmp_path).get("AAPL", "1Min", *day(0)) is None
    assert not list((tmp_path / "cache").iterdir())


def test_a_slow_read_does_not_replace_a_newer_put(cache: DataCache, tmp_path: Path) -> None:
    reopened(tmp_path).put("AAPL", "1Min", *day(0), bars_of(3, 100.0))
    interrupt(cache, lambda: cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0)))
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    for one in (cache, reopened(tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_a_slow_write_does_not_replace_a_newer_put(cache: DataCache, tmp_path: Path) -> None:
    interrupt(cache, lambda: cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0)))
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 100.0))
    for one in (cache, reopened(tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_an_entry_evicted_before_it_is_written_does_not_return_the_old_file(
    tmp_path: Path,
) -> None:
    cache = DataCache(1, tmp_path / "cache")
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 100.0))

    def evict() -> None:
        cache.put("AAPL", "1Min", *day(1), bars_of(1))
        assert cache.get("AAPL", "1Min", *day(0)) is None

    interrupt(cache, evict)
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0))
    assert list(cache.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_bars_that_are_no_longer_wanted_are_not_cached(cache: DataCache, tmp_path: Path) -> None:
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    cache.put("AAPL", "1Min", *day(0), bars_of(5), wanted=lambda: False)
    for one in (cache, reopened(tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3)


def test_concurrent_reads_and_puts_do_not_restore_an_invalidated_entry(tmp_path: Path) -> None:
    cache = DataCache(cache_dir=tmp_path)
    version, stopped = 0, threading.Event()

    def read() -> None:
        while not stopped.is_set():
            cache.get("AAPL", "1Min", *day(0))

    def put(current: int) -> None:
        bars = bars_of(2, float(current))
        cache.put("AAPL", "1Min", *day(0), bars, wanted=lambda: current == version)

    def write() -> None:
        while not stopped.is_set():
            put(version)

    threads = [threading.Thread(target=work) for work in (read, write, write)]
    for thread in threads:
        thread.start()
    hits = 0
    try:
        for _ in range(300):
            version += 1
            cache.invalidate("AAPL", *day(0))
            for one in (cache, DataCache(cache_dir=tmp_path)):
                found = one.get("AAPL", "1Min", *day(0))
                assert found is None or found[0].close == version
                hits += found is not None
            time.sleep(0.001)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert hits
    assert (cache.corrupt, cache.failed) == (0, 0)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Make the system refuse to write larger files, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_to_a_full_disk_is_counted_and_leaves_no_file(
    cache: DataCache, tmp_path: Path
) -> None:
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    with no_file_above(2_000):
        cache.put("AAPL", "1Min", *day(1), bars_of(1_000))
    assert cache.failed == 1
    assert len(cache.get("AAPL", "1Min", *day(1)) or ()) == 1_000
    assert len(files_in(tmp_path / "cache")) == 1
    cache.put("AAPL", "1Min", *day(1), bars_of(1_000))
    assert cache.failed == 1
    assert reopened(tmp_path).get("AAPL", "1Min", *day(1)) is not None


def test_a_read_only_folder_is_read_and_removed_entries_are_ignored(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        for number in range(3):
            DataCache(cache_dir=disk).put("AAPL", "1Min", *day(number), bars_of(3))
        damaged = next(disk.glob(f"*/*_{to_ns(day(2)[0])}_*.bars"))
        damaged.write_bytes(b"damaged")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        cache = DataCache(cache_dir=disk)
        assert cache.get("AAPL", "1Min", *day(0)) is not None
        cache.put("AAPL", "1Min", *day(1), bars_of(5))
        assert len(cache.get("AAPL", "1Min", *day(1)) or ()) == 5
        assert cache.failed == 1
        assert cache.invalidate("AAPL", *day(0)) == 1
        assert cache.failed == 2
        assert cache.get("AAPL", "1Min", *day(0)) is None
        assert cache.get("AAPL", "1Min", *day(2)) is None
        assert cache.corrupt == 1
        cache.clear()
        assert [cache.get("AAPL", "1Min", *day(number)) for number in range(3)] == [None] * 3
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        cache.put("AAPL", "1Min", *day(0), bars_of(7))
        assert len(DataCache(cache_dir=disk).get("AAPL", "1Min", *day(0)) or ()) == 7
        assert len(cache.get("AAPL", "1Min", *day(0)) or ()) == 7


def test_threads_get_only_bars_of_their_key(tmp_path: Path) -> None:
    cache = DataCache(4, tmp_path, max_bytes=40 * ROW_BYTES, max_disk_bytes=20_000)
    failed: list[object] = []

    def work(worker: int) -> None:
        for step in range(60):
            number = (worker + step) % 6
            cache.put("AAPL", "1Min", *day(number), bars_of(number + 1, float(number)))
            found = cache.get("AAPL", "1Min", *day(step % 6))
            if found is not None and list(found) != bars_of(step % 6 + 1, float(step % 6)):
                failed.append(found)
            if step % 10 == worker:
                cache.invalidate("AAPL", *day(number))
            if step % 30 == 2 * worker:
                cache.clear()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert (cache.corrupt, cache.failed) == (0, 0)
    assert len(cache) <= 4
    assert cache.utilization <= 100
    cache.clear()
    assert (len(cache), cache.utilization, list(tmp_path.iterdir())) == (0, 0.0, [])


# Few spans, so that keys repeat; some overlap, some are adjacent, one is empty.
spans = st.sampled_from([(0, 1), (0, 3), (1, 2), (2, 3), (4, 4)])
symbols = st.sampled_from(["AAPL", "MSFT"])
resolutions = st.sampled_from(["1Min", "5Min"])
Name = tuple[str, str, tuple[int, int]]
names = st.tuples(symbols, resolutions, spans)
calls = st.sampled_from(["put", "get", "invalidate", "clear"])


class CacheMachine(RuleBasedStateMachine):
    """Compare a cache with an LRU list of its entries in memory and a dict of those on disk."""

    @initialize(size=st.integers(1, 4), rows=st.integers(1, 12), disk=st.booleans())
    def start(self, size: int, rows: int, *, disk: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.bounds = (size, rows * ROW_BYTES)
        self.disk = disk
        self.memory: OrderedDict[Name, list[TradeBar]] = OrderedDict()
        self.files: dict[Name, list[TradeBar]] = {}
        self.damaged: set[Name] = set()
        self.operations: dict[object, Name] = {}
        self.reopen()

    @rule()
    def reopen(self) -> None:
        size, bound = self.bounds
        self.cache = DataCache(size, self.folder.name, max_bytes=bound, disk=self.disk)
        self.interrupted = interrupt(self.cache) if self.disk else None
        self.memory.clear()
        self.hits = self.misses = self.corrupt = 0

    @rule(symbol=symbols, resolution=resolutions, span=spans, count=st.integers(0, 6))
    def put(self, symbol: str, resolution: str, span: tuple[int, int], count: int) -> None:
        name = (symbol, resolution, span)
        length = Resolution(resolution.lower())
        bars = [
            TradeBar(symbol, START + n * MINUTE, 1, 2, 1, 1, n, resolution=length)
            for n in range(count)
        ]
        self.supersede({name})
        self.put_in_memory(name, bars)
        self.files.pop(name, None)
        operation = self.start_operation(name)
        self.cache.put(symbol, resolution, *ends(span), bars)
        if self.operations.pop(operation, None) is not None and self.disk:
            self.files[name] = bars
            self.damaged.discard(name)

    @rule(symbol=symbols, resolution=resolutions, span=spans)
    def get(self, symbol: str, resolution: str, span: tuple[int, int]) -> None:
        self.get_and_compare((symbol, resolution, span))

    @rule(which=st.integers(0, 99))
    def get_a_cached_entry(self, which: int) -> None:
        if names := sorted({*self.memory, *self.files}):
            self.get_and_compare(names[which % len(names)])

    @rule(symbol=symbols, resolution=st.none() | resolutions, span=spans)
    def invalidate(self, symbol: str, resolution: str | None, span: tuple[int, int]) -> None:
        start, end = ends(span)
        superseded = {
            name
            for name in {*self.memory, *self.files, *self.operations.values()}
            if name[0] == symbol and resolution in (None, name[1]) and overlap(name[2], span)
        }
        removed = superseded & {*self.memory, *self.files}
        assert self.cache.invalidate(symbol, start, end, resolution) == len(removed)
        self.supersede(superseded)
        for name in removed:
            self.memory.pop(name, None)
            self.files.pop(name, None)

    @rule(
        writes=st.booleans(),
        name=names,
        count=st.integers(0, 6),
        call=calls,
        other_name=st.none() | names,
    )
    def interrupt_a_read_or_write(
        self, *, writes: bool, name: Name, count: int, call: str, other_name: Name | None
    ) -> None:
        """Make a call when an entry is about to be written, or was just read from the disk."""
        if self.interrupted is None:
            return
        other = other_name or name
        self.interrupted.interruption = {
            "put": lambda: self.put(*other, count + 1),
            "get": lambda: self.get_and_compare(other),
            "invalidate": lambda: self.invalidate(other[0], other[1], other[2]),
            "clear": self.clear,
        }[call]
        if writes:
            self.put(*name, count)
        else:
            self.get_and_compare(name)
        self.interrupted.interruption = None
        self.get_and_compare(name)
        self.reopen()
        self.get_and_compare(name)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.operations.clear()
        self.memory.clear()
        self.files.clear()
        assert not list(Path(self.folder.name).iterdir())

    @rule(which=st.integers(0, 99), cut=st.booleans())
    def damage_a_file(self, which: int, *, cut: bool) -> None:
        if intact := sorted(self.files.keys() - self.damaged):
            name = intact[which % len(intact)]
            file = Path(self.folder.name, file_name(name))
            data = file.read_bytes()
            at = which % len(data)
            rest = b"" if cut else bytes([data[at] ^ 1]) + data[at + 1 :]
            file.write_bytes(data[:at] + rest)
            self.damaged.add(name)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "cache"):
            return
        assert list(self.cache._entries) == [key_of(name) for name in self.memory]
        used = sum(map(len, self.memory.values())) * ROW_BYTES
        share = max(len(self.memory) / self.bounds[0], used / self.bounds[1])
        assert self.cache.utilization == pytest.approx(100 * share)
        assert len(self.cache) == len(self.memory)
        assert (self.cache.hits, self.cache.misses) == (self.hits, self.misses)
        assert (self.cache.corrupt, self.cache.failed) == (self.corrupt, 0)
        files = files_in(Path(self.folder.name))
        paths = {str(file.relative_to(self.folder.name)) for file in files}
        assert paths == {file_name(name) for name in self.files}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def get_and_compare(self, name: Name) -> None:
        symbol, resolution, span = name
        expected: Sequence[TradeBar] | None = self.memory.get(name)
        is_new = expected is None
        if not is_new:
            self.memory.move_to_end(name)
        elif name in self.damaged and name in self.files:
            self.corrupt += 1
            del self.files[name]
        else:
            expected = self.files.get(name)
        operation = self.start_operation(name)
        found = self.cache.get(symbol, resolution, *ends(span))
        assert (None if found is None else list(found)) == expected
        is_newest = self.operations.pop(operation, None) is not None
        if is_new and is_newest and expected is not None:
            self.put_in_memory(name, list(expected))
        self.hits += found is not None
        self.misses += found is None

    def start_operation(self, name: Name) -> object:
        operation = object()
        self.operations[operation] = name
        return operation

    def supersede(self, names: set[Name]) -> None:
        self.operations = {one: name for one, name in self.operations.items() if name not in names}

    def put_in_memory(self, name: Name, bars: list[TradeBar]) -> None:
        size, bound = self.bounds
        self.memory.pop(name, None)
        if len(bars) * ROW_BYTES > bound:
            return
        self.memory[name] = bars
        while len(self.memory) > size or sum(map(len, self.memory.values())) * ROW_BYTES > bound:
            self.memory.popitem(last=False)


CacheMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_a_cache_behaves_like_an_lru_list_over_a_dict = CacheMachine.TestCase


def ends(span: tuple[int, int]) -> tuple[datetime, datetime]:
    return START + span[0] * DAY, START + span[1] * DAY


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def key_of(name: Name) -> Key:
    start, end = ends(name[2])
    return Key(name[0], {"1Min": 60, "5Min": 300}[name[1]], to_ns(start), to_ns(end))


def file_name(name: Name) -> str:
    symbol, *numbers = key_of(name)
    return f"{symbol}_/{'_'.join(map(str, numbers))}.bars"
