"""
Disk cache: one file per entry, written atomically, shared by processes.

A file is written under a temporary name and renamed, so a killed process leaves complete entries
and temporary files only. Each symbol has a folder, so its entries are found without listing all
others. Layout of a file: magic, CRC-32 of the rest, then a MessagePack array of the key, the
fields of `Bars`, and the encoded blocks. Why not SQLite: docs/decisions/0012-disk-cache-files.md.
"""

import logging
import os
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec
import numpy as np

from lean_lite.blocks import concat, decode_block, encode_block
from lean_lite.blocks.codec import ROWS_MAX
from lean_lite.data.bars import Bars
from lean_lite.errors import DecodeError
from lean_lite.protocol.history import Gap

MAGIC = b"LLC1"
SUFFIX = ".bars"
TEMPORARY_SUFFIX = ".part"
HEADER_BYTES = len(MAGIC) + 4
# Far longer than writing a file takes: its writer was killed.
ABANDONED_S = 3_600.0
# Each try fails only if another process removes the empty folder of the symbol in that instant.
MOVE_TRIES = 100

log = logging.getLogger(__name__)


class Key(NamedTuple):
    """Name of an entry: one symbol, one resolution, `start_ns <= start < end_ns`."""

    symbol: str
    resolution_s: int
    start_ns: int
    end_ns: int


class _File(msgspec.Struct, array_like=True, frozen=True):
    key: Key
    expected: int
    gaps: tuple[Gap, ...]
    blocks: list[bytes]
    partial: bytes = b""  # one bit per bar; empty if no bar is partial


_decode = msgspec.msgpack.Decoder(_File).decode
_encode = msgspec.msgpack.Encoder().encode


class DiskCache:
    """
    Entries in a folder that several processes may share, bounded, LRU by modification time.

    Each process checks the folder's size after it has written a sixteenth of `max_bytes`, so that
    each of several may exceed the bound by as much. `corrupt` counts damaged files that were
    skipped, `failed` those not written or removed because the disk was full or read-only.
    Thread-safe; only `write` may wait, for the eviction of another thread. Nothing is created
    before the first write.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.corrupt = 0
        self.failed = 0
        self._max_bytes = max_bytes
        # Bytes that may be written before the folder's size is checked again.
        self._budget = 0
        # Removed entries whose files are still there, because the disk is read-only.
        self._ignored: set[Key] = set()
        self._lock = threading.Lock()
        self._eviction_lock = threading.Lock()

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        """
        Write an entry, unless `wanted` returns False when its file is complete.

        An entry larger than the folder's bound is skipped; a full or read-only disk is logged and
        counted in `failed`.
        """
        data = _encode_entry(key, bars)
        if len(data) > self._max_bytes:
            return
        try:
            temporary = self._write_temporary(data)
            try:
                self._commit(temporary, key, wanted, len(data))
            finally:
                temporary.unlink(missing_ok=True)
            self._evict()
        except OSError as error:
            with self._lock:
                self._fail("could not write to the cache %s: %s", self.path, error)

    def read(self, key: Key) -> Bars | None:
        """Read an entry and mark it as used; None if it is missing or damaged."""
        if key in self._ignored:
            return None
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        try:
            file = _decode_entry(data)
            return _to_bars(file) if file.key == key else None
        except (DecodeError, ValueError) as error:
            self._skip(path, error)
            return None

    def discard(self, key: Key) -> None:
        """Remove an entry that is about to be replaced; a failure is not counted."""
        with self._lock:
            try:
                _unlink(self._path(key))
            except OSError:
                self._ignored.add(key)

    def remove(self, matches: Callable[[Key], bool], *, symbol: str | None = None) -> set[Key]:
        """Remove the matching entries, of one symbol or of all; return their keys."""
        removed = set()
        with self._lock:
            folders = _list(self.path) if symbol is None else [self._symbol_folder(symbol)]
            for path in _list_entries(folders):
                key = self._parse_key(path)
                if key is None or not matches(key):
                    continue
                removed.add(key)
                try:
                    _unlink(path)
                except OSError as error:
                    self._ignored.add(key)
                    self._fail("could not remove %s, which is ignored now: %s", path, error)
        return removed

    def _symbol_folder(self, symbol: str) -> Path:
        # The suffix makes valid names of `..` and of an empty symbol.
        return self.path / f"{quote(symbol, safe='')}_"

    def _path(self, key: Key) -> Path:
        return self._symbol_folder(key.symbol) / ("_".join(map(str, key[1:])) + SUFFIX)

    def _parse_key(self, path: Path) -> Key | None:
        """Return the key in a file's name; None if the file is not an entry."""
        symbol = unquote(path.parent.name.removesuffix("_"))
        try:
            key = Key(symbol, *map(int, path.stem.split("_")))
        except (TypeError, ValueError):
            return None
        return key if self._path(key) == path else None

    def _write_temporary(self, data: bytes) -> Path:
        """Write data to a temporary file, synced to disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path, suffix=TEMPORARY_SUFFIX)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _commit(self, temporary: Path, key: Key, wanted: Callable[[], bool], size: int) -> None:
        """Move a temporary file to its path if it is still wanted."""
        # Under the lock of `remove`: an entry that is removed after the check is removed here too.
        with self._lock:
            if wanted():
                _move(temporary, self._path(key))
                self._ignored.discard(key)
                self._budget -= size

    def _evict(self) -> None:
        """Evict entries once the budget is spent; other threads may commit at the same time."""
        with self._eviction_lock:
            with self._lock:
                if self._budget >= 0:
                    return
                self._budget = 0
            budget = self._make_room()
            with self._lock:
                self._budget += budget

    def _make_room(self) -> int:
        """Remove least recently used entries and abandoned files; return the next budget."""
        paths = _list(self.path)
        for path in paths:
            with suppress(OSError):
                if path.suffix == TEMPORARY_SUFFIX and _age_s(path) > ABANDONED_S:
                    path.unlink()
        entries = []
        for path in _list_entries(paths):
            with suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in entries)
        share = self._max_bytes // 16
        if total > self._max_bytes:
            # A sixteenth is freed, so that not every write lists the folder.
            for _, size, path in sorted(entries):
                if total <= self._max_bytes - share:
                    break
                _unlink(path)
                total -= size
        return min(self._max_bytes - total, share)

    def _skip(self, path: Path, why: Exception) -> None:
        with self._lock:
            self.corrupt += 1
        log.warning("skipped the damaged cache file %s: %s", path, why)
        with suppress(OSError):
            _unlink(path)

    def _fail(self, text: str, path: Path, why: OSError) -> None:
        self.failed += 1
        log.warning(text, path, why)


def _encode_entry(key: Key, bars: Bars) -> bytes:
    block = bars.block
    parts = [block.take(slice(at, at + ROWS_MAX)) for at in range(0, len(block), ROWS_MAX)]
    blocks = [encode_block(part) for part in parts or [block]]
    partial = np.packbits(bars.partial).tobytes() if bars.partial.any() else b""
    body = _encode(_File(key, bars.expected, bars.gaps, blocks, partial))
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def _decode_entry(data: bytes) -> _File:
    """Decode a file's content; DecodeError if it is damaged."""
    body = data[HEADER_BYTES:]
    if data[:HEADER_BYTES] != MAGIC + zlib.crc32(body).to_bytes(4, "little"):
        message = "wrong checksum"
        raise DecodeError(message)
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"unreadable: {error}"
        raise DecodeError(message) from error


def _to_bars(file: _File) -> Bars:
    block = concat([decode_block(part) for part in file.blocks])
    if not file.partial:
        return Bars(block, file.gaps, file.expected)
    bits = np.unpackbits(np.frombuffer(file.partial, np.uint8), count=len(block))
    return Bars(block, file.gaps, file.expected, bits.astype(np.bool_))


def _list(folder: Path) -> list[Path]:
    """List a folder; empty if it is missing, no folder or unreadable."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _list_entries(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for path in _list(folder) if path.suffix == SUFFIX]


def _move(temporary: Path, path: Path, tries: int = MOVE_TRIES) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.replace(path)
    except (FileNotFoundError, FileExistsError):
        if not tries:
            raise
        _move(temporary, path, tries - 1)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    # A symbol without entries needs no folder; rmdir fails if there are any.
    with suppress(OSError):
        path.parent.rmdir()
