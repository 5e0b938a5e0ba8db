"""DataCache: history in memory, LRU, over a disk cache that processes share."""

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
    Cache of bars by symbol, resolution and span, in memory and on disk.

    The least recently used entries are evicted first, from memory and from disk each by its own
    bound. An entry evicted from memory stays on disk, for other processes and the next run.
    Thread-safe; `invalidate` and `clear` do not wait for reads and writes of other threads.

    Args:
        max_size: maximum number of entries in memory.
        cache_dir: folder of the disk cache; by default that of the user.
        max_bytes: bound of the entries in memory, in bytes.
        max_disk_bytes: bound of the disk cache, in bytes.
        disk: False writes nothing to disk.

    Attributes:
        hits: calls of `get` that found an entry.
        misses: calls of `get` that found none.

    Raises:
        ValueError: a bound is below 1.
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
        if min(max_size, max_bytes, max_disk_bytes) < 1:
            message = "max_size, max_bytes and max_disk_bytes must be 1 or more"
            raise ValueError(message)
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0
        # Reads and writes of the disk in progress. One that a newer put, invalidate or clear of
        # its key has superseded is removed here: its result reaches neither memory nor disk.
        # Locking the key instead would make the event loop's `invalidate` wait for the disk.
        self._operations: dict[object, Key] = {}
        self._lock = threading.Lock()
        folder = Path(cache_dir) if cache_dir is not None else cache_folder()
        self._disk = DiskCache(folder, max_disk_bytes) if disk else None

    def __len__(self) -> int:
        """Return the number of entries in memory."""
        return len(self._entries)

    @property
    def hit_rate(self) -> float:
        """Share of `get` calls that found an entry, 0 to 1; 0 before the first call."""
        calls = self.hits + self.misses
        return self.hits / calls if calls else 0.0

    @property
    def utilization(self) -> float:
        """Percentage in use, 0 to 100, of the bound of memory that is closer to being reached."""
        return 100.0 * max(len(self._entries) / self.max_size, self._bytes / self.max_bytes)

    @property
    def corrupt(self) -> int:
        """Number of damaged files that were skipped and removed."""
        return self._disk.corrupt if self._disk else 0

    @property
    def failed(self) -> int:
        """Number of files not written or removed because the disk was full or read-only."""
        return self._disk.failed if self._disk else 0

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
        Store bars; if the disk is full or read-only, in memory only.

        Args:
            symbol: symbol of all bars.
            resolution: resolution of all bars, also as text (`"1Min"`, `"5min"`) or timedelta.
            start: start of the span that the bars were requested for, inclusive.
            end: end of the span, exclusive.
            bars: the bars; they are copied unless they own their memory.
            wanted: called under the cache's lock, so that no `invalidate` runs between the call
                and the put; the bars are discarded if it returns False.

        Raises:
            ValueError: a bar has another symbol or resolution, or the resolution is invalid.
        """
        key = _key(symbol, resolution, start, end)
        compact = _compact(bars, symbol, Resolution.of(resolution))
        with self._lock:
            if not wanted():
                return
            self._supersede(lambda other: other == key)
            self._put_in_memory(key, compact)
            if self._disk is None:
                return
            # The entry may be evicted from memory before its file is written. Until then `get` must
            # not find the old file.
            self._disk.discard(key)
            operation = self._start_operation(key)
        try:
            self._disk.write(key, compact, lambda: operation in self._operations)
        finally:
            with self._lock:
                self._operations.pop(operation, None)

    def get(self, symbol: str, resolution: Length, start: datetime, end: datetime) -> Bars | None:
        """
        Return the bars that were put under exactly this key.

        Args:
            symbol: symbol of the bars.
            resolution: resolution of the bars, also as text or timedelta.
            start: start of the span, inclusive.
            end: end of the span, exclusive.

        Returns:
            The bars with their gaps and grades, or None if there is no entry for this symbol,
            resolution and span.

        Raises:
            ValueError: the resolution is invalid.
        """
        key = _key(symbol, resolution, start, end)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                self.hits += 1
                return entry.bars
            if self._disk is None:
                self.misses += 1
                return None
            operation = self._start_operation(key)
        found = None
        try:
            found = self._disk.read(key)
        finally:
            with self._lock:
                is_current = self._operations.pop(operation, None) is not None
                self.hits += found is not None
                self.misses += found is None
                if found is not None and is_current:
                    self._put_in_memory(key, found)
        return found

    def invalidate(
        self,
        symbol: str,
        start: datetime,
        end: datetime,
        resolution: Length | None = None,
    ) -> int:
        """
        Remove the entries of a symbol whose span overlaps the given one.

        Args:
            symbol: symbol of the entries.
            start: start of the span, inclusive.
            end: end of the span, exclusive.
            resolution: only entries of this resolution; None removes all.

        Returns:
            The number of removed entries.

        Raises:
            ValueError: the resolution is invalid.
        """
        span = _key(symbol, resolution or Resolution.MINUTE, start, end)

        def overlaps(key: Key) -> bool:
            same_resolution = resolution is None or key.resolution_s == span.resolution_s
            same_time = key.start_ns < span.end_ns and span.start_ns < key.end_ns
            return key.symbol == symbol and same_resolution and same_time

        with self._lock:
            self._supersede(overlaps)
            removed = {key for key in self._entries if overlaps(key)}
            for key in removed:
                self._bytes -= self._entries.pop(key).size
            if self._disk is not None:
                removed |= self._disk.remove(overlaps, symbol=symbol)
        return len(removed)

    def clear(self) -> None:
        """Remove all entries from memory and disk."""
        with self._lock:
            self._operations.clear()
            self._entries.clear()
            self._bytes = 0
            if self._disk is not None:
                self._disk.remove(lambda _: True)

    def _start_operation(self, key: Key) -> object:
        operation = object()
        self._operations[operation] = key
        return operation

    def _supersede(self, matches: Callable[[Key], bool]) -> None:
        for operation in [one for one, key in self._operations.items() if matches(key)]:
            del self._operations[operation]

    def _put_in_memory(self, key: Key, bars: Bars) -> None:
        size = bars.partial.nbytes + sum(one.nbytes for one in bars.block.columns.values())
        if (previous := self._entries.pop(key, None)) is not None:
            self._bytes -= previous.size
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
    """Return bars that reference no larger arrays; ValueError if they do not match the key."""
    given = Bars.of(bars, resolution=resolution)
    block = given.block
    if {*given.symbols} - {symbol} or block.resolution != resolution:
        message = (
            f"{given!r} can't be cached as {resolution.value} bars of {symbol}: "
            "use their own symbol and resolution"
        )
        raise ValueError(message)
    # A slice would keep the array that it was cut from in memory.
    columns = {name: _owned_copy(column) for name, column in block.columns.items()}
    return Bars(block.replace(columns), given.gaps, given.expected, _owned_copy(given.partial))


def _owned_copy(column: Column) -> Column:
    base = column.base
    return column.copy() if isinstance(base, np.ndarray) and base.nbytes > column.nbytes else column
