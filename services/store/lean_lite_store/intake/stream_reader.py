"""Read a graded stream from where the file stands, and notice when it is not the one it was."""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from nats.js.api import StreamInfo
from nats.js.errors import APIError, NotFoundError

from lean_lite.bus import Bus, Consumer, Frame
from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.bus.retry import retry
from lean_lite.errors import Busy
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol.subjects import STREAMS
from lean_lite_store.applied import AppliedPositions
from lean_lite_store.intake.frames import read_frame
from lean_lite_store.intake.writer import GroupCommitWriter
from lean_lite_store.metrics import REREAD

LOOK_S = 0.02
COMPARE_EVERY_S = 5.0

log = logging.getLogger(__name__)


class StreamExtent(NamedTuple):
    """Tell a stream from others, and which sequences it holds."""

    created_ns: int
    first_seq: int
    last_seq: int

    @property
    def end_seq(self) -> int:
        """Return the last sequence that can be read; 0 of an empty stream."""
        return self.last_seq if self.first_seq <= self.last_seq else 0

    def mismatch(self, created_ns: int, read_seq: int) -> str:
        """Return why this is no continuation of what was read up to `read_seq`, or nothing."""
        if self.created_ns != created_ns:
            return "it was created anew"
        if self.last_seq < read_seq:
            return f"it ends at {self.last_seq}, but was read up to {read_seq}"
        if 0 < read_seq < self.first_seq - 1:
            return f"it begins at {self.first_seq}, but was read only up to {read_seq}"
        return ""


class StreamReader:
    """Hand every frame above its subject's position to the flusher, once and in order."""

    def __init__(
        self,
        bus: Bus,
        flusher: GroupCommitWriter,
        applied: AppliedPositions,
        created_ns: int | None,
    ) -> None:
        """Continue the positions of a file; `created_ns` is None when it never read."""
        self._bus = bus
        self._flusher = flusher
        self._applied = applied
        self._stream = applied.stream
        self._taken = applied.positions
        self._created_ns = created_ns
        self._trouble = f"the stream {self._stream} was not seen yet"
        self._target_seq = 0

    def failing(self) -> Iterable[str]:
        """Name what keeps history from being complete."""
        if self._trouble:
            yield self._trouble
        elif self._applied.max_seq < self._target_seq:
            yield f"catching up with {self._stream}: {self._applied.max_seq} of {self._target_seq}"

    async def caught_up(self) -> None:
        """Return when all is applied that the stream had when its reading began."""
        while any(True for _ in self.failing()):  # noqa: ASYNC110 - a reason to fail has no event
            await asyncio.sleep(LOOK_S)

    async def end_seq(self) -> int:
        """Return the last sequence that the stream has now; Busy when the server does not tell."""
        try:
            info = await self._bus.jetstream.stream_info(self._stream)
        except (APIError, *TRANSIENT_ERRORS) as error:
            message = f"the stream {self._stream} can't be asked for ({error}): ask again"
            raise Busy(message) from error
        return _extent_of(info).end_seq

    async def run(self) -> None:
        """Read until cancelled, anew whenever the stream is another one."""
        while True:
            extent = await self._extent()
            await self._compare(extent, max(self._taken.values(), default=0))
            self._applied.skip(extent.first_seq - 1)
            self._target_seq = extent.end_seq
            # Only now: ready means that the target is known and reached.
            self._trouble = ""
            await self._read(max(self._taken.values(), default=0))
            self._trouble = f"the stream {self._stream} is another one: it is read anew"
            await self._flusher.drain()

    async def on_frame(self, frame: Frame) -> None:
        """Take a frame unless its subject has come further already."""
        if frame.seq > self._taken.get(frame.subject, 0):
            await self._flusher.put(read_frame(frame))
            self._taken[frame.subject] = frame.seq

    async def _compare(self, extent: StreamExtent, read_seq: int) -> None:
        known_ns = self._created_ns
        mismatch = "" if known_ns is None else extent.mismatch(known_ns, read_seq)
        if mismatch:
            REREAD.labels(self._stream).inc()
            log.error(
                "store.stream_read_anew",
                extra={"stream": self._stream, "error": f"{mismatch}; bars between may be missing"},
            )
        if mismatch or known_ns is None:
            await self._flusher.start_stream(self._applied, extent.created_ns)
            self._taken.clear()
            self._created_ns = extent.created_ns

    async def _read(self, after_seq: int) -> None:
        """Read until the stream is no longer the one that we began with."""
        consumer = Consumer(
            self._bus, self._stream, STREAMS[self._stream], self.on_frame, after_seq=after_seq
        )
        reading = asyncio.create_task(consumer.run())
        try:
            while True:
                done, _ = await asyncio.wait([reading], timeout=COMPARE_EVERY_S)
                if done:
                    return reading.result()
                # The reader moves on while we ask, so what ends it must hold before and after.
                read_seq = consumer.seq
                extent = await self._extent()
                self._trouble = ""
                if extent.first_seq > self._target_seq:
                    self._target_seq = 0
                if self._lost(extent, read_seq) and self._lost(extent, consumer.seq):
                    return None
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    def _lost(self, extent: StreamExtent, read_seq: int) -> bool:
        return bool(extent.mismatch(self._created_ns or 0, read_seq))

    async def _extent(self) -> StreamExtent:
        info = await retry(
            lambda: self._bus.jetstream.stream_info(self._stream),
            (APIError, *TRANSIENT_ERRORS),
            on_retry=self._on_info_failed,
        )
        return _extent_of(info)

    def _on_info_failed(self, error: Exception) -> None:
        if isinstance(error, NotFoundError):
            self._trouble = f"there is no stream {self._stream}: has setup run?"
        else:
            self._trouble = f"the stream {self._stream} can't be asked for: {error}"


def _extent_of(info: StreamInfo) -> StreamExtent:
    created_ns = to_ns(info.created) if info.created else 0
    return StreamExtent(created_ns, info.state.first_seq, info.state.last_seq)
