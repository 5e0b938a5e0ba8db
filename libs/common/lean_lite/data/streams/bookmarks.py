"""BookmarkStore: durable position of a named reader."""

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

# A write per bar would limit the rate of a reader. After a crash, bars that were read since the
# last write are delivered again.
SAVE_S = 1.0

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Bookmark).decode


class StoredBookmark(NamedTuple):
    """A bookmark as it was loaded, and the last GRADED sequence of every lane."""

    bookmark: Bookmark
    ends: dict[str, int]


class BookmarkStore:
    """
    Bookmark of one reader in the bucket `strategies`.

    It is written once a second: after a crash bars of the last second may be delivered again, but
    none is missed. Every write expects the revision of the one before, so of two readers with one
    name the second to write gets an error instead of skipping the other's bars.

    Args:
        bus: an open connection.
        name: name of the reader.
        retry_s: how long `load` retries while the bus or the store is unavailable.

    Raises:
        ValueError: the name is not valid as a key.
    """

    def __init__(self, bus: Bus, name: str, *, retry_s: float = LIMIT_S) -> None:
        if not NAME.fullmatch(name):
            message = f"invalid reader name {name!r}: use up to 64 letters, digits, `_` and `-`"
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
        Load the bookmark and the ends of the lanes; None for a new name.

        Raises:
            RequestError: `stale`, the store does not reach the bookmark's frames. They may be of
                another stream, as after the bus has lost its files.
            BusUnavailable: the bus or the store does not answer.
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
                f"the reader {self._name} is ahead of the store ({error}): wait until the store "
                "has caught up, or read under another name"
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
            message = f"the bucket {BOOKMARKS} can't be read ({error!r}): is NATS running?"
            raise BusUnavailable(message) from error

    @property
    def due(self) -> bool:
        """Whether the last write was more than `SAVE_S` ago."""
        return time.monotonic() - self._saved_at > SAVE_S

    async def save(
        self,
        frontier: Mapping[str, int],
        beyond: Iterable[DeliveredBar],
        symbols: Mapping[str, StartPosition],
    ) -> None:
        """
        Write the bookmark; if the bus is unavailable, the next save writes it.

        Args:
            frontier: GRADED sequence by lane up to which every bar has been processed.
            beyond: bars of later frames that have been processed.
            symbols: start positions of the reader's symbols; others are forgotten.

        Raises:
            RequestError: `taken`, another reader has written under the name.
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
            log.info("the bookmark of the reader %s could not be saved: %r", self._name, error)

    async def _write(self, bucket: KeyValue, data: bytes) -> int:
        try:
            return await bucket.update(self._name, data, last=self._revision)
        except KeyWrongLastSequenceError:
            # A lost acknowledgement looks like another reader's write: the token differs.
            entry = await bucket.get(self._name)
            if _decode(entry.value or b"").reader != self._token:
                raise
            return await bucket.update(self._name, data, last=entry.revision)

    def _taken(self) -> RequestError:
        code = "taken"
        message = f"another reader uses the name {self._name}: stop that one, or use another name"
        return RequestError(code, message)
