"""Where a strategy with a durable name goes on after a restart."""

import time
from collections.abc import Mapping

import msgspec
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from lean_lite.bus import Bus
from lean_lite.bus.connection import encode
from lean_lite.data.live import Live
from lean_lite.messages import LiveBar
from lean_lite.subjects import STRATEGIES, lane_of

SAVE_S = 1.0

_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class Resume:
    """
    Remember in the bucket `strategies` up to which GRADED frame a reader is done.

    It is written when the reader has caught up, and once a second before: after a crash bars of
    the last second may come again, but none is missed.
    """

    def __init__(self, bus: Bus, name: str) -> None:
        """Ask for nothing before `load`."""
        self._bus = bus
        self._key = name
        self._bucket: KeyValue | None = None
        self._done: dict[str, int] = {}
        self._reading: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        self._saved_at = time.monotonic()

    async def load(self) -> Mapping[str, int] | None:
        """Return the last frame of each lane that was done; None for a new name."""
        self._bucket = await self._bus.jetstream.key_value(STRATEGIES)
        try:
            entry = await self._bucket.get(self._key)
        except KeyNotFoundError:
            return None
        self._done = self._saved = _decode(entry.value or b"\x80")
        return dict(self._done)

    async def join(self, done: Mapping[str, int]) -> None:
        """Note that everything up to these frames has been dealt with."""
        self._done = dict(done)
        await self.save()

    async def done(self, record: LiveBar, live: Live | None) -> None:
        """Note that a bar has been dealt with."""
        if live is None:
            return
        lane = str(lane_of(record.symbol))
        before = self._reading.get(lane, 0)
        self._reading[lane] = max(before, record.seq)
        if live.behind == 0:
            self._done = dict(live.done)
        elif before < record.seq:
            # The frame before this one is whole now.
            self._done = self._done | {lane: max(before, self._done.get(lane, 0))}
        due = live.behind == 0 or time.monotonic() - self._saved_at > SAVE_S
        if due:
            await self.save()

    async def save(self) -> None:
        """Write what is done, if anything is new."""
        if self._bucket is None or self._done == self._saved:
            return
        await self._bucket.put(self._key, encode(self._done))
        self._saved, self._saved_at = dict(self._done), time.monotonic()
