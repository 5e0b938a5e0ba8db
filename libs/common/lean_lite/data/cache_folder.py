"""
The files of a cache: one for each entry, whole or not there.

A file is written beside its place and moved there at once, so that a process that is killed leaves
only whole files and some that are ignored. Layout: magic, CRC-32 of the rest, then a MessagePack
array of the key, what `Bars` knows, and the encoded blocks.
"""

import logging
import os
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec

from lean_lite.blocks import concat, decode_block, encode_block
from lean_lite.blocks.codec import ROWS_MAX
from lean_lite.data.bars import Bars
from lean_lite.errors import DecodeError
from lean_lite.messages import Gap

MAGIC = b"LLC1"
SUFFIX = ".bars"
HEAD = len(MAGIC) + 4
ABANDONED_S = 3_600.0

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


_decode = msgspec.msgpack.Decoder(_File).decode
_encode = msgspec.msgpack.Encoder().encode


class CacheFolder:
    """Keep entries in a folder that several processes may share."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Write nothing before the first entry."""
        self.path = path
        self.corrupt = 0
        self.failed = 0
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def write(self, key: Key, bars: Bars) -> None:
        """Keep an entry; a disk that is full or read-only is logged and counted in `failed`."""
        block = bars.block
        parts = [block.take(slice(at, at + ROWS_MAX)) for at in range(0, len(block), ROWS_MAX)]
        blocks = [encode_block(part) for part in parts or [block]]
        body = _encode(_File(key, bars.expected, bars.gaps, blocks))
        data = MAGIC + zlib.crc32(body).to_bytes(4, "little") + body
        try:
            with self._lock:
                self._put(self._place(key), data)
                self._bound()
        except OSError as error:
            self.failed += 1
            log.warning("cache.not_written", extra={"folder": str(self.path), "error": str(error)})

    def read(self, key: Key) -> Bars | None:
        """Return an entry; None when there is none, or a damaged one."""
        place = self._place(key)
        try:
            data = place.read_bytes()
            os.utime(place)
        except OSError:
            return None
        file = self._opened(place, data)
        if file is None or file.key != key:
            return None
        try:
            block = concat([decode_block(part) for part in file.blocks])
        except (DecodeError, ValueError) as error:
            self._skip(place, str(error))
            return None
        return Bars(block, file.gaps, file.expected)

    def remove(self, chosen: Callable[[Key], bool]) -> set[Key]:
        """Remove the entries that are chosen; return their keys."""
        gone = set()
        with self._lock:
            for place in self._files():
                key = _key_of(place)
                if key is not None and chosen(key):
                    place.unlink(missing_ok=True)
                    gone.add(key)
        return gone

    def _place(self, key: Key) -> Path:
        numbers = "_".join(str(number) for number in key[1:])
        return self.path / f"{quote(key.symbol, safe='')}_{numbers}{SUFFIX}"

    def _files(self) -> list[Path]:
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def _put(self, place: Path, data: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=self.path, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(place)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def _bound(self) -> None:
        """Remove what was used longest ago, and what killed processes have left."""
        for part in self.path.glob("*.part"):
            with suppress(OSError):
                if part.stat().st_mtime < time.time() - ABANDONED_S:
                    part.unlink()
        known = []
        for place in self._files():
            with suppress(OSError):
                stat = place.stat()
                known.append((stat.st_mtime_ns, stat.st_size, place))
        total = sum(size for _, size, _ in known)
        for _, size, place in sorted(known):
            if total <= self._max_bytes:
                return
            place.unlink(missing_ok=True)
            total -= size

    def _opened(self, place: Path, data: bytes) -> _File | None:
        body = data[HEAD:]
        if data[:HEAD] != MAGIC + zlib.crc32(body).to_bytes(4, "little"):
            self._skip(place, "its checksum is wrong")
            return None
        try:
            return _decode(body)
        except msgspec.MsgspecError as error:
            self._skip(place, str(error))
            return None

    def _skip(self, place: Path, why: str) -> None:
        self.corrupt += 1
        log.warning("cache.corrupt", extra={"file": str(place), "error": why})
        place.unlink(missing_ok=True)


def _key_of(place: Path) -> Key | None:
    """Return the key that a file's name tells; None for a file that is not ours."""
    try:
        symbol, *numbers = place.name.removesuffix(SUFFIX).rsplit("_", 3)
        return Key(unquote(symbol), *map(int, numbers))
    except (TypeError, ValueError):
        return None
