"""Where a strategy with a durable name goes on after a restart."""

import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from lean_lite.bus import Bus
from lean_lite.bus.connection import TRANSIENT_ERRORS, encode
from lean_lite.bus.retry import LIMIT_S, retry_unavailable
from lean_lite.data.history.client import fetch
from lean_lite.errors import BusUnavailable, Busy, RequestError
from lean_lite.protocol.bookmark import Bookmark, DeliveredBar, StartPosition
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.subjects import BOOKMARKS, NAME

SAVE_S = 1.0

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Bookmark).decode


class StoredBookmark(NamedTuple):
    """Hold what a name had, and the last GRADED frame of every lane now."""

    bookmark: Bookmark
    ends: dict[str, int]


class BookmarkStore:
    """
    Remember in the bucket `strategies` up to which GRADED frames a reader is done.

    It is written once a second: after a crash bars of the last second may come again, but none is
    missed.
    """

    def __init__(self, bus: Bus, name: str, *, retry_s: float = LIMIT_S) -> None:
        """Ask for nothing before `load`; ValueError for a name that no key can have."""
        if not NAME.fullmatch(name):
            message = f"{name!r} is no name for a reader: use up to 64 letters, digits, `_` and `-`"
            raise ValueError(message)
        self._bus = bus
        self._name = name
        self._retry_s = retry_s
        self._bucket: KeyValue | None = None
        self._revision = 0
        self._token = secrets.token_hex(8)
        self._bookmark = Bookmark(self._token, {})
        self._saved = self._bookmark
        self._saved_at = time.monotonic()

    async def load(self) -> StoredBookmark | None:
        """
        Return how far the reader had come, and where the lanes end now; None for a new name.

        RequestError when the store does not come to those frames: then they are of another stream.
        BusUnavailable when the server or the store does not answer.
        """
        entry = await retry_unavailable(self._entry, self._retry_s)
        if entry is None:
            return None
        self._revision = entry.revision or 0
        self._saved = self._bookmark = found = _decode(entry.value or b"")
        request = HistoryRequest(min_seq=found.done)
        try:
            ends = await retry_unavailable(lambda: fetch(self._bus, request), self._retry_s)
        except Busy as error:
            code = "stale"
            message = (
                f"the reader {self._name} stopped behind what the store has ({error}): wait until "
                "the store has caught up, or read on under another name"
            )
            raise RequestError(code, message) from error
        return StoredBookmark(found, ends.through)

    async def _entry(self) -> KeyValue.Entry | None:
        try:
            self._bucket = await self._bus.jetstream.key_value(BOOKMARKS)
            return await self._bucket.get(self._name)
        except KeyNotFoundError:
            return None
        except TRANSIENT_ERRORS as error:
            message = f"the bucket {BOOKMARKS} can't be asked for ({error!r}): is NATS running?"
            raise BusUnavailable(message) from error

    @property
    def due(self) -> bool:
        """Say whether it is time to write again."""
        return time.monotonic() - self._saved_at > SAVE_S

    async def save(
        self,
        frontier: Mapping[str, int],
        beyond: Iterable[DeliveredBar],
        symbols: Mapping[str, StartPosition],
    ) -> None:
        """
        Write what has been dealt with: all up to these frames, and some of later ones.

        What is known of other symbols and their lanes is forgotten.

        A bus that is away is tried again later. RequestError when another reader has written under
        the name meanwhile.
        """
        self._saved_at = time.monotonic()
        done = self._bookmark.done
        grown = {lane: max(seq, done.get(lane, 0)) for lane, seq in frontier.items()}
        self._bookmark = Bookmark(self._token, grown, tuple(beyond), dict(symbols))
        if self._bucket is None or self._bookmark == self._saved:
            return
        try:
            self._revision = await self._write(self._bucket, encode(self._bookmark))
            self._saved = self._bookmark
        except KeyWrongLastSequenceError:
            raise self._taken() from None
        except TRANSIENT_ERRORS as error:
            log.info("resume.not_saved", extra={"reader": self._name, "error": repr(error)})

    async def _write(self, bucket: KeyValue, data: bytes) -> int:
        try:
            return await bucket.update(self._name, data, last=self._revision)
        except KeyWrongLastSequenceError:
            entry = await bucket.get(self._name)
            if _decode(entry.value or b"").reader != self._token:
                raise
            # We wrote it ourselves, and only the acknowledgement was lost.
            return await bucket.update(self._name, data, last=entry.revision)

    def _taken(self) -> RequestError:
        code = "taken"
        message = (
            f"another reader goes on under the name {self._name}: only one at a time can, so end "
            "that one, or take another name"
        )
        return RequestError(code, message)
