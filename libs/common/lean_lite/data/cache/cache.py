"""History that was asked for before, in memory and on disk."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lean_lite.blocks.block import Column
from lean_lite.config.environment import cache_folder
from lean_lite.data.bars import Bars
from lean_lite.data.cache.disk import DiskCache, Key
from lean_lite.model import Length, Resolution, TradeBar
from lean_lite.model.timestamps import to_ns

MAX_BYTES = 256 * 1024**2
MAX_DISK_BYTES = 1024**3


class _Entry(NamedTuple):
    bars: Bars
    size: int


class DataCache:
    """
    Keep bars by symbol, resolution and span; what was used longest ago goes first.

    Memory is bounded by `max_size` entries and `max_bytes`, the folder by `max_disk_bytes`. What
    leaves memory stays on disk, where another process, or the next run, finds it; a file that was
    damaged is skipped and counted in `corrupt`. Without `disk` nothing is written. Every method is
    thread-safe.
    """

    def __init__(
        self,
        max_size: int = 1_000,
        cache_dir: str | Path | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        max_disk_bytes: int = MAX_DISK_BYTES,
        disk: bool = True,
    ) -> None:
        """Use a folder, or the one of this user; ValueError when a bound leaves no room."""
        if min(max_size, max_bytes, max_disk_bytes) < 1:
            message = "a cache needs room: max_size, max_bytes and max_disk_bytes are 1 or more"
            raise ValueError(message)
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0
        # What is being read or written, until it is overtaken by a newer state of its entry.
        self._turns: dict[object, Key] = {}
        self._lock = threading.Lock()
        folder = Path(cache_dir) if cache_dir is not None else cache_folder()
        self._folder = DiskCache(folder, max_disk_bytes) if disk else None

    def __len__(self) -> int:
        """Return the number of entries in memory."""
        return len(self._entries)

    @property
    def hit_rate(self) -> float:
        """Return the share of looks that found something, 0 to 1; 0 of none."""
        looks = self.hits + self.misses
        return self.hits / looks if looks else 0.0

    @property
    def utilization(self) -> float:
        """Return how full memory is, 0 to 100, by whichever bound is nearer."""
        return 100.0 * max(len(self._entries) / self.max_size, self._bytes / self.max_bytes)

    @property
    def corrupt(self) -> int:
        """Return how many damaged files were skipped."""
        return self._folder.corrupt if self._folder else 0

    @property
    def failed(self) -> int:
        """Return how many files a full or read-only disk did not let us write or remove."""
        return self._folder.failed if self._folder else 0

    def put(
        self,
        symbol: str,
        resolution: Length,
        start: datetime,
        end: datetime,
        bars: Sequence[TradeBar],
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Keep bars; a full or read-only disk is logged and counted, and memory alone serves.

        `wanted` is asked at the very moment when the bars would be kept: no `invalidate` comes
        between. ValueError for bars of another symbol or resolution.
        """
        key = _key(symbol, resolution, start, end)
        kept = _compact(bars, symbol, Resolution.of(resolution))
        with self._lock:
            if not wanted():
                return
            self._supersede(lambda other: other == key)
            self._put_in_memory(key, kept)
            turn = self._begin_io(key)
            if self._folder is not None:
                # Memory may lose the bars before they are written.
                self._folder.drop(key)
        try:
            if self._folder is not None:
                self._folder.write(key, kept, lambda: turn in self._turns)
        finally:
            with self._lock:
                self._turns.pop(turn, None)

    def get(self, symbol: str, resolution: Length, start: datetime, end: datetime) -> Bars | None:
        """Return the bars that were kept for exactly this; None when there are none."""
        key = _key(symbol, resolution, start, end)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                self.hits += 1
                return entry.bars
            turn = self._begin_io(key)
        found = None
        try:
            found = self._folder.read(key) if self._folder is not None else None
        finally:
            with self._lock:
                is_newest = self._turns.pop(turn, None) is not None
                self.hits += found is not None
                self.misses += found is None
                if found is not None and is_newest:
                    self._put_in_memory(key, found)
        return found

    def invalidate(
        self,
        symbol: str,
        start: datetime,
        end: datetime,
        resolution: Length | None = None,
    ) -> int:
        """Let go of every entry of a symbol whose span touches this one; return how many."""
        wanted = _key(symbol, resolution or Resolution.MINUTE, start, end)

        def touches(key: Key) -> bool:
            same = resolution is None or key.resolution_s == wanted.resolution_s
            near = key.start_ns < wanted.end_ns and wanted.start_ns < key.end_ns
            return key.symbol == symbol and same and near

        with self._lock:
            self._supersede(touches)
            held = {key for key in self._entries if touches(key)}
            for key in held:
                self._bytes -= self._entries.pop(key).size
            gone = self._folder.remove(touches, symbol=symbol) if self._folder else set()
        return len(gone | held)

    def clear(self) -> None:
        """Remove everything, from the disk too."""
        with self._lock:
            self._turns.clear()
            self._entries.clear()
            self._bytes = 0
            if self._folder is not None:
                self._folder.remove(lambda _: True)

    def _begin_io(self, key: Key) -> object:
        turn = object()
        self._turns[turn] = key
        return turn

    def _supersede(self, chosen: Callable[[Key], bool]) -> None:
        for turn in [turn for turn, key in self._turns.items() if chosen(key)]:
            del self._turns[turn]

    def _put_in_memory(self, key: Key, bars: Bars) -> None:
        size = bars.partial.nbytes + sum(one.nbytes for one in bars.block.columns.values())
        if (known := self._entries.pop(key, None)) is not None:
            self._bytes -= known.size
        if size > self.max_bytes:
            return
        self._entries[key] = _Entry(bars, size)
        self._bytes += size
        while len(self._entries) > self.max_size or self._bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size


def _key(symbol: str, resolution: Length, start: datetime, end: datetime) -> Key:
    return Key(symbol, Resolution.of(resolution).seconds, to_ns(start), to_ns(end))


def _compact(bars: Sequence[TradeBar], symbol: str, resolution: Resolution) -> Bars:
    """Return bars that hold no more memory than their own."""
    given = Bars.of(bars, resolution=resolution)
    block = given.block
    if {*given.symbols} - {symbol} or block.resolution != resolution:
        message = (
            f"{given!r} can't be kept as {resolution.value} bars of {symbol}: "
            "put them under their own symbol and resolution"
        )
        raise ValueError(message)
    # A slice would hold the whole that it was cut from.
    columns = {name: _owned_copy(column) for name, column in block.columns.items()}
    return Bars(block.replace(columns), given.gaps, given.expected, _owned_copy(given.partial))


def _owned_copy(column: Column) -> Column:
    base = column.base
    return column.copy() if isinstance(base, np.ndarray) and base.nbytes > column.nbytes else column
