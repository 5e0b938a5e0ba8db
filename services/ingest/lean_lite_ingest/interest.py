"""Which symbols are wanted, since when, and who has not been heard of for long."""

import logging
import time
from collections.abc import Iterable

import msgspec
from nats.js.kv import KeyValue

from lean_lite.bus import Bus
from lean_lite.bus.connection import encode
from lean_lite.bus.key_value import read_values
from lean_lite.protocol import subjects
from lean_lite.protocol.control import Interest

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Interest).decode


class Interests:
    """Remember the wanted symbols of one feed, here and in the bucket `interest`."""

    def __init__(self, bus: Bus, feed: str, pinned: Iterable[str], forget_s: float) -> None:
        """Start with the pinned symbols, which are never forgotten."""
        self._bus = bus
        self._feed = feed
        self._pinned = frozenset(pinned)
        self._forget_s = forget_s
        self._bucket: KeyValue | None = None
        self._renewed_at: dict[str, float] = {}
        self.since_ns: dict[str, int] = {}

    async def load(self, now_ns: int) -> None:
        """Take over what the bucket remembers, and add the pinned symbols as of now."""
        self._bucket = await self._bus.jetstream.key_value(subjects.INTEREST)
        for value in (await read_values(self._bus, subjects.INTEREST, self._feed)).values():
            self._restore(value)
        await self.add(self._pinned, now_ns)

    async def add(self, symbols: Iterable[str], now_ns: int) -> None:
        """Remember symbols as wanted from now on, and as heard of again."""
        for symbol in symbols:
            self._renewed_at[symbol] = time.monotonic()
            if symbol in self.since_ns:
                continue
            self.since_ns[symbol] = now_ns
            entry = Interest(symbol, self._feed, now_ns)
            if self._bucket is not None:
                await self._bucket.put(self._key(symbol), encode(entry))

    async def discard(self, symbols: Iterable[str]) -> None:
        """Forget symbols."""
        for symbol in symbols:
            self.since_ns.pop(symbol, None)
            self._renewed_at.pop(symbol, None)
            if self._bucket is not None:
                await self._bucket.delete(self._key(symbol))

    def expired(self) -> list[str]:
        """Return the symbols that nobody has asked for again in time."""
        before = time.monotonic() - self._forget_s
        return [s for s, at in self._renewed_at.items() if at < before and s not in self._pinned]

    def _restore(self, data: bytes) -> None:
        try:
            entry = _decode(data)
        except msgspec.MsgspecError as error:
            log.warning("interest.unreadable", extra={"feed": self._feed, "error": str(error)})
            return
        known_ns = self.since_ns.get(entry.symbol, entry.since_ns)
        self.since_ns[entry.symbol] = min(known_ns, entry.since_ns)
        self._renewed_at[entry.symbol] = time.monotonic()

    def _key(self, symbol: str) -> str:
        return f"{self._feed}.{symbol}"
