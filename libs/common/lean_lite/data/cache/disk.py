"""
The files of a cache: one for each entry, whole or not there.

A symbol has a folder of its own, so that its entries are found without a look at all others. A file
is written beside those and moved to its place at once, so that a process that is killed leaves only
whole files and some that are ignored. Layout: magic, CRC-32 of the rest, then a MessagePack array
of the key, what `Bars` knows, and the encoded blocks.
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
PART = ".part"
HEAD = len(MAGIC) + 4
ABANDONED_S = 3_600.0
# So often another process may take the empty folder away that a file is just moved into.
MOVES = 100

log = logging.getLogger(__name__)


class Key(NamedTuple):
    """Name an entry: one symbol, one resolution, `start_ns <= start < end_ns`."""

    symbol: str
    resolution_s: int
    start_ns: int
    end_ns: int


class _File(msgspec.Struct, array_like=True, frozen=True):
    key: Key
    expected: int
    gaps: tuple[Gap, ...]
    blocks: list[bytes]
    partial: bytes = b""  # one bit for each bar; empty when none is partial


_decode = msgspec.msgpack.Decoder(_File).decode
_encode = msgspec.msgpack.Encoder().encode


class DiskCache:
    """
    Keep entries in a folder that several processes may share.

    Each of them looks at its size when it has written a sixteenth of what is allowed, so that
    together they may exceed that by as much. `corrupt` counts damaged files that were skipped,
    `failed` those that a full or read-only disk did not let us write or remove. Every method is
    thread-safe; only `write` may wait until another thread has made room.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Write nothing before the first entry."""
        self.path = path
        self.corrupt = 0
        self.failed = 0
        self._max_bytes = max_bytes
        self._room = 0
        # What is removed but still there, because the disk is read-only.
        self._removed: set[Key] = set()
        self._lock = threading.Lock()
        self._tidying = threading.Lock()

    def write(self, key: Key, bars: Bars, wanted: Callable[[], bool] = lambda: True) -> None:
        """
        Keep an entry if it is still wanted when its file is whole.

        A disk that is full or read-only is logged and counted in `failed`.
        """
        data = _packed(key, bars)
        if len(data) > self._max_bytes:
            return
        try:
            part = self._write_part(data)
            try:
                self._commit(part, key, wanted, len(data))
            finally:
                part.unlink(missing_ok=True)
            self._evict()
        except OSError as error:
            with self._lock:
                self._fail("cache.not_written", error)

    def read(self, key: Key) -> Bars | None:
        """Return an entry; None when there is none, or a damaged one."""
        if key in self._removed:
            return None
        place = self._path(key)
        try:
            data = place.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(place)
        try:
            file = _opened(data)
            return _unpacked(file) if file.key == key else None
        except (DecodeError, ValueError) as error:
            self._skip(place, error)
            return None

    def drop(self, key: Key) -> None:
        """Let go of an entry that is about to be written anew, or to be too large for that."""
        with self._lock:
            try:
                _unlink(self._path(key))
            except OSError:
                self._removed.add(key)

    def remove(self, chosen: Callable[[Key], bool], *, symbol: str | None = None) -> set[Key]:
        """Remove the entries that are chosen, of one symbol or of all; return their keys."""
        gone = set()
        with self._lock:
            homes = _listed(self.path) if symbol is None else [self._home(symbol)]
            for place in _entries(homes):
                key = self._parse_key(place)
                if key is None or not chosen(key):
                    continue
                gone.add(key)
                try:
                    _unlink(place)
                except OSError as error:
                    self._removed.add(key)
                    self._fail("cache.not_removed", error)
        return gone

    def _home(self, symbol: str) -> Path:
        # The end of the name keeps `..` and no symbol at all apart from folders that there are.
        return self.path / f"{quote(symbol, safe='')}_"

    def _path(self, key: Key) -> Path:
        return self._home(key.symbol) / ("_".join(map(str, key[1:])) + SUFFIX)

    def _parse_key(self, place: Path) -> Key | None:
        """Return the key that a file's name tells; None for a file that is not ours."""
        symbol = unquote(place.parent.name.removesuffix("_"))
        try:
            key = Key(symbol, *map(int, place.stem.split("_")))
        except (TypeError, ValueError):
            return None
        return key if self._path(key) == place else None

    def _write_part(self, data: bytes) -> Path:
        """Return a file that holds the data, and that nobody reads yet."""
        self.path.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path, suffix=PART)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part

    def _commit(self, part: Path, key: Key, wanted: Callable[[], bool], size: int) -> None:
        """Put a file in its place, if it is wanted in the very moment."""
        with self._lock:
            if wanted():
                _move(part, self._path(key))
                self._removed.discard(key)
                self._room -= size

    def _evict(self) -> None:
        """Make room when there is none left; one thread does it, the others may write."""
        with self._tidying:
            with self._lock:
                if self._room >= 0:
                    return
                self._room = 0
            room = self._make_room()
            with self._lock:
                self._room += room

    def _make_room(self) -> int:
        """
        Remove what was used longest ago, and what killed processes have left.

        Return how much may be written before the next look.
        """
        inside = _listed(self.path)
        for part in inside:
            with suppress(OSError):
                if part.suffix == PART and part.stat().st_mtime < time.time() - ABANDONED_S:
                    part.unlink()
        known = []
        for place in _entries(inside):
            with suppress(OSError):
                stat = place.stat()
                known.append((stat.st_mtime_ns, stat.st_size, place))
        total = sum(size for _, size, _ in known)
        share = self._max_bytes // 16
        if total > self._max_bytes:
            for _, size, place in sorted(known):
                if total <= self._max_bytes - share:
                    break
                _unlink(place)
                total -= size
        return min(self._max_bytes - total, share)

    def _skip(self, place: Path, why: Exception) -> None:
        with self._lock:
            self.corrupt += 1
        log.warning("cache.corrupt", extra={"file": str(place), "error": str(why)})
        with suppress(OSError):
            _unlink(place)

    def _fail(self, what: str, why: OSError) -> None:
        self.failed += 1
        log.warning(what, extra={"folder": str(self.path), "error": str(why)})


def _packed(key: Key, bars: Bars) -> bytes:
    block = bars.block
    parts = [block.take(slice(at, at + ROWS_MAX)) for at in range(0, len(block), ROWS_MAX)]
    blocks = [encode_block(part) for part in parts or [block]]
    partial = np.packbits(bars.partial).tobytes() if bars.partial.any() else b""
    body = _encode(_File(key, bars.expected, bars.gaps, blocks, partial))
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def _opened(data: bytes) -> _File:
    """Return what a file holds; ValueError or DecodeError when it is damaged."""
    body = data[HEAD:]
    if data[:HEAD] != MAGIC + zlib.crc32(body).to_bytes(4, "little"):
        message = "its checksum is wrong"
        raise DecodeError(message)
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"it can't be read: {error}"
        raise DecodeError(message) from error


def _unpacked(file: _File) -> Bars:
    block = concat([decode_block(part) for part in file.blocks])
    if not file.partial:
        return Bars(block, file.gaps, file.expected)
    bits = np.unpackbits(np.frombuffer(file.partial, np.uint8), count=len(block))
    return Bars(block, file.gaps, file.expected, bits.astype(np.bool_))


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing when it is none, or can't be read."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _entries(homes: Iterable[Path]) -> list[Path]:
    return [place for home in homes for place in _listed(home) if place.suffix == SUFFIX]


def _move(part: Path, place: Path, tries: int = MOVES) -> None:
    try:
        place.parent.mkdir(exist_ok=True)
        part.replace(place)
    except (FileNotFoundError, FileExistsError):
        if not tries:
            raise
        _move(part, place, tries - 1)


def _unlink(place: Path) -> None:
    place.unlink(missing_ok=True)
    # A symbol that has nothing left needs no folder.
    with suppress(OSError):
        place.parent.rmdir()
