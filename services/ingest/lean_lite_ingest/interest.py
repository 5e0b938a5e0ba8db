"""Interests: the symbols of one feed with interest, since when, and when it expires."""

import logging
import time
from collections.abc import Collection, Iterable

import msgspec
from nats.js.kv import KeyValue

from lean_lite.bus import Bus
from lean_lite.bus.connection import encode
from lean_lite.bus.key_value import read_values
from lean_lite.protocol import subjects
from lean_lite.protocol.control import Interest
from lean_lite_ingest import metrics

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Interest).decode


class Interests:
    """
    Symbols of one feed, in memory and in the bucket `interest`.

    `since_ns` is when each was requested first, and `live_since_ns` when the vendor confirmed it;
    both are in the feed's time. Pinned symbols never expire. The bucket outlives this process, so
    that the next owner subscribes the same symbols and finds the gaps of each.
    """

    def __init__(self, bus: Bus, feed: str, pinned: Iterable[str], interest_ttl_s: float) -> None:
        self._bus = bus
        self._feed = feed
        self._pinned = frozenset(pinned)
        self._interest_ttl_s = interest_ttl_s
        self._bucket: KeyValue | None = None
        self._renewed_at: dict[str, float] = {}
        self.since_ns: dict[str, int] = {}
        self.live_since_ns: dict[str, int] = {}

    async def load(self, now_ns: int) -> None:
        """Read the bucket, and add the pinned symbols as of now."""
        self._bucket = await self._bus.jetstream.key_value(subjects.INTEREST)
        for value in (await read_values(self._bus, subjects.INTEREST, self._feed)).values():
            self._restore(value)
        await self.add(self._pinned, now_ns)

    async def add(self, symbols: Iterable[str], now_ns: int) -> None:
        """Add symbols as of now, or renew them."""
        for symbol in symbols:
            self._renewed_at[symbol] = time.monotonic()
            if symbol in self.since_ns:
                continue
            self.since_ns[symbol] = now_ns
            entry = Interest(symbol, self._feed, now_ns)
            if self._bucket is not None:
                await self._bucket.put(self._key(symbol), encode(entry))
        self._report_count()

    def set_live(self, symbols: Iterable[str], since_ns: int) -> None:
        """Set the time since which symbols are live, except those that are live already."""
        for symbol in symbols:
            self.live_since_ns.setdefault(symbol, since_ns)

    async def discard(self, symbols: Collection[str]) -> None:
        """Remove symbols."""
        for symbol in symbols:
            self.live_since_ns.pop(symbol, None)
        for symbol in symbols:
            self.since_ns.pop(symbol, None)
            self._renewed_at.pop(symbol, None)
            if self._bucket is not None:
                await self._bucket.delete(self._key(symbol))
        self._report_count()

    def expired(self) -> list[str]:
        """Return the symbols that no client has renewed in time."""
        before = time.monotonic() - self._interest_ttl_s
        return [s for s, at in self._renewed_at.items() if at < before and s not in self._pinned]

    def _restore(self, data: bytes) -> None:
        try:
            entry = _decode(data)
        except msgspec.MsgspecError as error:
            log.warning("interest.decode_failed", extra={"feed": self._feed, "error": str(error)})
            return
        earlier_ns = self.since_ns.get(entry.symbol, entry.since_ns)
        self.since_ns[entry.symbol] = min(earlier_ns, entry.since_ns)
        self._renewed_at[entry.symbol] = time.monotonic()

    def _report_count(self) -> None:
        metrics.SYMBOLS.labels(self._feed).set(len(self.since_ns))

    def _key(self, symbol: str) -> str:
        return f"{self._feed}.{symbol}"
