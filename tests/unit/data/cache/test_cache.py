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
# What the columns of a bar take in memory, with its mark of a partial one.
ROW_BYTES = 76


def bars_of(count: int, close: float = 1.0, symbol: str = "AAPL") -> list[TradeBar]:
    return [TradeBar(symbol, START + n * MINUTE, 1, 9, 1, close, n) for n in range(count)]


def day(number: int) -> tuple[datetime, datetime]:
    return START + number * DAY, START + (number + 1) * DAY


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(cache_dir=tmp_path / "cache")


def files_in(folder: Path) -> list[Path]:
    return [place for place in folder.rglob("*") if place.is_file()]


def fresh(cache: DataCache, tmp_path: Path) -> DataCache:
    """Return what the next run, or another process, has."""
    return DataCache(cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_a_list_of_bars_is_found_again_in_memory_and_on_disk(
    cache: DataCache, tmp_path: Path, count: int
) -> None:
    bars = bars_of(count)
    cache.put("AAPL", "1Min", *day(0), bars)
    for one in (cache, fresh(cache, tmp_path)):
        found = one.get("AAPL", "1Min", *day(0))
        assert found is not None
        assert list(found) == bars
        assert found.resolution is Resolution.MINUTE
        assert (one.hits, one.misses, one.hit_rate) == (1, 0, 1.0)


def test_no_bars_keep_the_resolution_that_was_asked_for(cache: DataCache, tmp_path: Path) -> None:
    cache.put("AAPL", Resolution.HOUR, *day(0), [])
    for one in (cache, fresh(cache, tmp_path)):
        found = one.get("AAPL", "1Hour", *day(0))
        assert found is not None
        assert (len(found), found.resolution) == (0, Resolution.HOUR)


def test_all_that_bars_know_comes_back_from_the_disk(cache: DataCache, tmp_path: Path) -> None:
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
    found = fresh(cache, tmp_path).get("AAPL", "1Min", *day(0))
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
def test_a_resolution_has_the_names_of_alpaca_and_its_own(
    cache: DataCache, texts: list[str], resolution: Resolution
) -> None:
    cache.put("AAPL", resolution, *day(0), [])
    assert all(cache.get("AAPL", text, *day(0)) is not None for text in texts)


@pytest.mark.parametrize("text", ["", "Min", "0Min", "1Month", "1.5Min", "²Min", "weekly"])
def test_what_is_no_resolution_is_refused(cache: DataCache, text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid resolution .*: use Resolution\.MINUTE, '5min'"):
        cache.get("AAPL", text, *day(0))


def test_bars_are_kept_under_their_own_name_only(cache: DataCache) -> None:
    for symbol, resolution in (("MSFT", "1Min"), ("AAPL", "1Hour")):
        with pytest.raises(ValueError, match=r"AAPL: 1 x minute> can't be kept as .* put them"):
            cache.put(symbol, resolution, *day(0), bars_of(1))
    both = Bars(from_bars([*bars_of(1), *bars_of(1, symbol="MSFT")], feed="iex"))
    with pytest.raises(ValueError, match="can't be kept as minute bars of AAPL"):
        cache.put("AAPL", "1Min", *day(0), both)
    # A slice with one symbol of two is of one symbol.
    cache.put("AAPL", "1Min", *day(0), both[:1])
    assert len(cache) == 1


def test_what_was_not_kept_is_not_found(cache: DataCache) -> None:
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
def test_any_symbol_has_a_file_of_its_own(cache: DataCache, tmp_path: Path, symbol: str) -> None:
    cache.put(symbol, "1Min", *day(0), bars_of(3, symbol=symbol))
    cache.put(symbol + "_", "1Min", *day(0), [])
    assert len(files_in(tmp_path / "cache")) == 2
    found = fresh(cache, tmp_path).get(symbol, "1Min", *day(0))
    assert found is not None
    assert list(found) == bars_of(3, symbol=symbol)
    assert fresh(cache, tmp_path).invalidate(symbol, *day(0)) == 1
    assert fresh(cache, tmp_path).get(symbol, "1Min", *day(0)) is None
    assert fresh(cache, tmp_path).get(symbol + "_", "1Min", *day(0)) is not None


def test_a_slice_does_not_keep_the_whole_in_memory() -> None:
    cache = DataCache(disk=False)
    whole = Bars.of(bars_of(1_000))
    cache.put("AAPL", "1Min", *day(0), whole[::100])
    found = cache.get("AAPL", "1Min", *day(0))
    assert found is not None
    assert list(found) == list(whole)[::100]
    for name, column in found.block.columns.items():
        assert not np.shares_memory(column, whole.block[name])
    cache.put("AAPL", "1Min", *day(0), whole)
    assert cache.get("AAPL", "1Min", *day(0))[0] == whole[0]  # type: ignore[index]


def test_what_fits_nowhere_displaces_nothing(tmp_path: Path) -> None:
    cache = DataCache(cache_dir=tmp_path, max_bytes=10 * ROW_BYTES, max_disk_bytes=3_000)
    cache.put("AAPL", "1Min", *day(0), bars_of(5))
    cache.put("AAPL", "1Min", *day(1), bars_of(100))
    assert len(cache) == 1
    assert len(files_in(tmp_path)) == 1
    # What was kept in its place before is gone, too.
    cache.put("AAPL", "1Min", *day(0), bars_of(100))
    assert cache.get("AAPL", "1Min", *day(0)) is None
    assert not files_in(tmp_path)


@pytest.mark.parametrize("bounds", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_cache_without_room_is_refused(bounds: tuple[int, int, int]) -> None:
    size, memory, disk = bounds
    with pytest.raises(ValueError, match="a cache needs room"):
        DataCache(size, max_bytes=memory, max_disk_bytes=disk)


def test_the_folder_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    DataCache().put("AAPL", "1Min", *day(0), [])
    assert cache_folder() == tmp_path / "lean-lite"
    assert len(files_in(cache_folder())) == 1


def test_without_a_disk_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = DataCache(disk=False)
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    assert cache.invalidate("AAPL", *day(0)) == 1
    cache.clear()
    assert (cache.corrupt, cache.failed, list(tmp_path.iterdir())) == (0, 0, [])


def test_a_folder_that_can_not_be_made_is_counted_and_memory_serves(
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
    assert [(one.name, one.message) for one in caplog.records] == [
        ("lean_lite.data.cache.disk", "cache.not_written")
    ]


class Slow(DiskCache):
    """Let something happen before a file is written, or after one was read."""

    happening: Callable[[], object] | None = None

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        self._happen()
        super().write(key, bars, wanted)

    def read(self, key: Key) -> Bars | None:
        found = super().read(key)
        self._happen()
        return found

    def _happen(self) -> None:
        happening, self.happening = self.happening, None
        if happening is not None:
            happening()


def slowed(cache: DataCache, happening: Callable[[], object] | None = None) -> Slow:
    """Give a cache a slow folder in place of its own."""
    assert cache._folder is not None
    slow = cache._folder = Slow(cache._folder.path, cache._folder._max_bytes)
    slow.happening = happening
    return slow


def test_what_is_let_go_of_while_it_is_read_does_not_come_back(
    cache: DataCache, tmp_path: Path
) -> None:
    fresh(cache, tmp_path).put("AAPL", "1Min", *day(0), bars_of(3))
    slowed(cache, lambda: cache.invalidate("AAPL", *day(0)))
    # The bars were good when they were asked for, but are not remembered.
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    assert cache.get("AAPL", "1Min", *day(0)) is None


@pytest.mark.parametrize("happening", ["invalidate", "clear"])
def test_what_is_let_go_of_while_it_is_written_leaves_no_file(
    cache: DataCache, tmp_path: Path, happening: str
) -> None:
    acts = {"invalidate": lambda: cache.invalidate("AAPL", *day(0)), "clear": cache.clear}
    slowed(cache, acts[happening])
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    assert cache.get("AAPL", "1Min", *day(0)) is None
    assert fresh(cache, tmp_path).get("AAPL", "1Min", *day(0)) is None
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_read_slowly_does_not_replace_what_was_kept_since(
    cache: DataCache, tmp_path: Path
) -> None:
    fresh(cache, tmp_path).put("AAPL", "1Min", *day(0), bars_of(3, 100.0))
    slowed(cache, lambda: cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0)))
    assert cache.get("AAPL", "1Min", *day(0)) is not None
    for one in (cache, fresh(cache, tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_what_is_written_slowly_does_not_replace_what_was_kept_since(
    cache: DataCache, tmp_path: Path
) -> None:
    slowed(cache, lambda: cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0)))
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 100.0))
    for one in (cache, fresh(cache, tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_what_left_memory_before_it_was_written_is_not_found_as_it_was_before(
    tmp_path: Path,
) -> None:
    cache = DataCache(1, tmp_path / "cache")
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 100.0))

    def displaced() -> None:
        cache.put("AAPL", "1Min", *day(1), bars_of(1))
        assert cache.get("AAPL", "1Min", *day(0)) is None

    slowed(cache, displaced)
    cache.put("AAPL", "1Min", *day(0), bars_of(3, 200.0))
    assert list(cache.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3, 200.0)


def test_what_is_not_wanted_is_not_kept(cache: DataCache, tmp_path: Path) -> None:
    cache.put("AAPL", "1Min", *day(0), bars_of(3))
    cache.put("AAPL", "1Min", *day(0), bars_of(5), wanted=lambda: False)
    for one in (cache, fresh(cache, tmp_path)):
        assert list(one.get("AAPL", "1Min", *day(0)) or ()) == bars_of(3)


def test_what_one_thread_lets_go_of_another_one_does_not_bring_back(tmp_path: Path) -> None:
    cache = DataCache(cache_dir=tmp_path)
    version, stopped = 0, threading.Event()

    def reads() -> None:
        while not stopped.is_set():
            cache.get("AAPL", "1Min", *day(0))

    def keep(known: int) -> None:
        bars = bars_of(2, float(known))
        cache.put("AAPL", "1Min", *day(0), bars, wanted=lambda: known == version)

    def keeps() -> None:
        while not stopped.is_set():
            keep(version)

    threads = [threading.Thread(target=work) for work in (reads, keeps, keeps)]
    for thread in threads:
        thread.start()
    met = 0
    try:
        for _ in range(300):
            version += 1
            cache.invalidate("AAPL", *day(0))
            for one in (cache, DataCache(cache_dir=tmp_path)):
                found = one.get("AAPL", "1Min", *day(0))
                assert found is None or found[0].close == version
                met += found is not None
            time.sleep(0.001)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert met
    assert (cache.corrupt, cache.failed) == (0, 0)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the system refuse to write larger files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_what_a_full_disk_refuses_is_counted_and_leaves_nothing_behind(
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
    assert fresh(cache, tmp_path).get("AAPL", "1Min", *day(1)) is not None


def test_a_read_only_folder_is_read_and_what_is_let_go_of_stays_away(tmp_path: Path) -> None:
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


def test_threads_find_only_what_was_kept_under_a_key(tmp_path: Path) -> None:
    cache = DataCache(4, tmp_path, max_bytes=40 * ROW_BYTES, max_disk_bytes=20_000)
    failed: list[object] = []

    def work(worker: int) -> None:
        for turn in range(60):
            number = (worker + turn) % 6
            cache.put("AAPL", "1Min", *day(number), bars_of(number + 1, float(number)))
            found = cache.get("AAPL", "1Min", *day(turn % 6))
            if found is not None and list(found) != bars_of(turn % 6 + 1, float(turn % 6)):
                failed.append(found)
            if turn % 10 == worker:
                cache.invalidate("AAPL", *day(number))
            if turn % 30 == 2 * worker:
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


# Few enough that many meet again; some overlap, some only touch, one is empty.
spans = st.sampled_from([(0, 1), (0, 3), (1, 2), (2, 3), (4, 4)])
symbols = st.sampled_from(["AAPL", "MSFT"])
resolutions = st.sampled_from(["1Min", "5Min"])
Named = tuple[str, str, tuple[int, int]]
names = st.tuples(symbols, resolutions, spans)
acts = st.sampled_from(["put", "get", "invalidate", "clear"])


class CacheMachine(RuleBasedStateMachine):
    """Compare a cache with a list of what was used, the oldest first, and what is on disk."""

    @initialize(size=st.integers(1, 4), rows=st.integers(1, 12), disk=st.booleans())
    def begin(self, size: int, rows: int, *, disk: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.bounds = (size, rows * ROW_BYTES)
        self.disk = disk
        self.memory: OrderedDict[Named, list[TradeBar]] = OrderedDict()
        self.files: dict[Named, list[TradeBar]] = {}
        self.damaged: set[Named] = set()
        self.turns: dict[object, Named] = {}
        self.starts_again()

    @rule()
    def starts_again(self) -> None:
        size, bound = self.bounds
        self.cache = DataCache(size, self.folder.name, max_bytes=bound, disk=self.disk)
        self.slow = slowed(self.cache) if self.disk else None
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
        self.overtake({name})
        self.remember(name, bars)
        self.files.pop(name, None)
        turn = self.turn(name)
        self.cache.put(symbol, resolution, *ends(span), bars)
        if self.turns.pop(turn, None) is not None and self.disk:
            self.files[name] = bars
            self.damaged.discard(name)

    @rule(symbol=symbols, resolution=resolutions, span=spans)
    def get(self, symbol: str, resolution: str, span: tuple[int, int]) -> None:
        self.look((symbol, resolution, span))

    @rule(which=st.integers(0, 99))
    def get_what_was_kept(self, which: int) -> None:
        if known := sorted({*self.memory, *self.files}):
            self.look(known[which % len(known)])

    @rule(symbol=symbols, resolution=st.none() | resolutions, span=spans)
    def invalidate(self, symbol: str, resolution: str | None, span: tuple[int, int]) -> None:
        start, end = ends(span)
        touched = {
            name
            for name in {*self.memory, *self.files, *self.turns.values()}
            if name[0] == symbol and resolution in (None, name[1]) and touch(name[2], span)
        }
        gone = touched & {*self.memory, *self.files}
        assert self.cache.invalidate(symbol, start, end, resolution) == len(gone)
        self.overtake(touched)
        for name in gone:
            self.memory.pop(name, None)
            self.files.pop(name, None)

    @rule(
        keeps=st.booleans(),
        name=names,
        count=st.integers(0, 6),
        act=acts,
        another=st.none() | names,
    )
    def something_happens_meanwhile(
        self, *, keeps: bool, name: Named, count: int, act: str, another: Named | None
    ) -> None:
        """Happen when an entry is about to be written, or was just read from the disk."""
        if self.slow is None:
            return
        other = another or name
        self.slow.happening = {
            "put": lambda: self.put(*other, count + 1),
            "get": lambda: self.look(other),
            "invalidate": lambda: self.invalidate(other[0], other[1], other[2]),
            "clear": self.clear,
        }[act]
        if keeps:
            self.put(*name, count)
        else:
            self.look(name)
        self.slow.happening = None
        self.look(name)
        self.starts_again()
        self.look(name)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.turns.clear()
        self.memory.clear()
        self.files.clear()
        assert not list(Path(self.folder.name).iterdir())

    @rule(which=st.integers(0, 99), cut=st.booleans())
    def a_file_is_damaged(self, which: int, *, cut: bool) -> None:
        if whole := sorted(self.files.keys() - self.damaged):
            name = whole[which % len(whole)]
            file = Path(self.folder.name, file_name(name))
            data = file.read_bytes()
            place = which % len(data)
            rest = b"" if cut else bytes([data[place] ^ 1]) + data[place + 1 :]
            file.write_bytes(data[:place] + rest)
            self.damaged.add(name)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "cache"):
            return
        assert list(self.cache._entries) == [key_of(name) for name in self.memory]
        taken = sum(map(len, self.memory.values())) * ROW_BYTES
        share = max(len(self.memory) / self.bounds[0], taken / self.bounds[1])
        assert self.cache.utilization == pytest.approx(100 * share)
        assert len(self.cache) == len(self.memory)
        assert (self.cache.hits, self.cache.misses) == (self.hits, self.misses)
        assert (self.cache.corrupt, self.cache.failed) == (self.corrupt, 0)
        files = files_in(Path(self.folder.name))
        places = {str(file.relative_to(self.folder.name)) for file in files}
        assert places == {file_name(name) for name in self.files}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def look(self, name: Named) -> None:
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
        turn = self.turn(name)
        found = self.cache.get(symbol, resolution, *ends(span))
        assert (None if found is None else list(found)) == expected
        is_newest = self.turns.pop(turn, None) is not None
        if is_new and is_newest and expected is not None:
            self.remember(name, list(expected))
        self.hits += found is not None
        self.misses += found is None

    def turn(self, name: Named) -> object:
        turn = object()
        self.turns[turn] = name
        return turn

    def overtake(self, names: set[Named]) -> None:
        self.turns = {turn: name for turn, name in self.turns.items() if name not in names}

    def remember(self, name: Named, bars: list[TradeBar]) -> None:
        size, bound = self.bounds
        self.memory.pop(name, None)
        if len(bars) * ROW_BYTES > bound:
            return
        self.memory[name] = bars
        while len(self.memory) > size or sum(map(len, self.memory.values())) * ROW_BYTES > bound:
            self.memory.popitem(last=False)


CacheMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_a_cache_is_a_list_of_what_was_used_lately_and_a_folder = CacheMachine.TestCase


def ends(span: tuple[int, int]) -> tuple[datetime, datetime]:
    return START + span[0] * DAY, START + span[1] * DAY


def touch(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def key_of(name: Named) -> Key:
    start, end = ends(name[2])
    return Key(name[0], {"1Min": 60, "5Min": 300}[name[1]], to_ns(start), to_ns(end))


def file_name(name: Named) -> str:
    symbol, *numbers = key_of(name)
    return f"{symbol}_/{'_'.join(map(str, numbers))}.bars"
