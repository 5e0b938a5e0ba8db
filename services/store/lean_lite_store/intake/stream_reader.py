"""Read a graded stream from the stored position; detect that it was replaced."""

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

POLL_S = 0.02
COMPARE_EVERY_S = 5.0

log = logging.getLogger(__name__)


class StreamExtent(NamedTuple):
    """Identity of a stream (its creation time) and the sequences it holds."""

    created_ns: int
    first_seq: int
    last_seq: int

    @property
    def end_seq(self) -> int:
        """Last sequence that can be read; 0 of an empty stream."""
        return self.last_seq if self.first_seq <= self.last_seq else 0

    def mismatch(self, created_ns: int, read_seq: int) -> str:
        """Return why this stream does not continue what was read up to `read_seq`, or nothing."""
        if self.created_ns != created_ns:
            return "it was created again"
        if self.last_seq < read_seq:
            return f"it ends at {self.last_seq}, but was read up to {read_seq}"
        if 0 < read_seq < self.first_seq - 1:
            return f"it starts at {self.first_seq}, but was read only up to {read_seq}"
        return ""


class StreamReader:
    """
    Reader of a graded stream: passes every frame above its subject's position to the writer, once.

    `created_ns` is when the stream of the stored positions was created; None if none was read yet.
    """

    def __init__(
        self,
        bus: Bus,
        writer: GroupCommitWriter,
        applied: AppliedPositions,
        created_ns: int | None,
    ) -> None:
        self._bus = bus
        self._writer = writer
        self._applied = applied
        self._stream = applied.stream
        self._queued = applied.positions
        self._created_ns = created_ns
        self._failure = f"the stream {self._stream} was not read yet"
        self._target_seq = 0

    def failing(self) -> Iterable[str]:
        """Yield what keeps history from being complete."""
        if self._failure:
            yield self._failure
        elif self._applied.max_seq < self._target_seq:
            yield f"catching up with {self._stream}: {self._applied.max_seq} of {self._target_seq}"

    async def caught_up(self) -> None:
        """Wait until everything is applied that the stream held when reading started."""
        while any(True for _ in self.failing()):  # noqa: ASYNC110 - the reasons have no event
            await asyncio.sleep(POLL_S)

    async def end_seq(self) -> int:
        """Return the last sequence of the stream now; Busy when the server does not answer."""
        try:
            info = await self._bus.jetstream.stream_info(self._stream)
        except (APIError, *TRANSIENT_ERRORS) as error:
            message = f"the stream {self._stream} can't be looked up ({error}): try again"
            raise Busy(message) from error
        return _to_extent(info).end_seq

    async def run(self) -> None:
        """Read until cancelled; starts again whenever the stream was replaced."""
        while True:
            extent = await self._extent()
            await self._check_continues(extent, max(self._queued.values(), default=0))
            self._applied.skip(extent.first_seq - 1)
            self._target_seq = extent.end_seq
            # Cleared only now: ready means that the target is known and reached.
            self._failure = ""
            await self._read_until_replaced(max(self._queued.values(), default=0))
            self._failure = f"the stream {self._stream} was replaced: it is read from its start"
            await self._writer.drain()

    async def on_frame(self, frame: Frame) -> None:
        """Queue a frame unless its subject is further already."""
        if frame.seq > self._queued.get(frame.subject, 0):
            await self._writer.put(read_frame(frame))
            self._queued[frame.subject] = frame.seq

    async def _check_continues(self, extent: StreamExtent, read_seq: int) -> None:
        known_ns = self._created_ns
        mismatch = "" if known_ns is None else extent.mismatch(known_ns, read_seq)
        if mismatch:
            REREAD.labels(self._stream).inc()
            log.error(
                "stream.replaced",
                extra={"stream": self._stream, "error": f"{mismatch}; bars between may be missing"},
            )
        if mismatch or known_ns is None:
            await self._writer.start_stream(self._applied, extent.created_ns)
            self._queued.clear()
            self._created_ns = extent.created_ns

    async def _read_until_replaced(self, after_seq: int) -> None:
        """Read until the stream is replaced."""
        consumer = Consumer(
            self._bus, self._stream, STREAMS[self._stream], self.on_frame, after_seq=after_seq
        )
        reading = asyncio.create_task(consumer.run())
        try:
            while True:
                done, _ = await asyncio.wait([reading], timeout=COMPARE_EVERY_S)
                if done:
                    return reading.result()
                # The consumer advances during the request: compare before and after it.
                read_seq = consumer.seq
                extent = await self._extent()
                self._failure = ""
                if extent.first_seq > self._target_seq:
                    self._target_seq = 0
                if self._mismatches(extent, read_seq) and self._mismatches(extent, consumer.seq):
                    return None
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    def _mismatches(self, extent: StreamExtent, read_seq: int) -> bool:
        return bool(extent.mismatch(self._created_ns or 0, read_seq))

    async def _extent(self) -> StreamExtent:
        info = await retry(
            lambda: self._bus.jetstream.stream_info(self._stream),
            (APIError, *TRANSIENT_ERRORS),
            on_retry=self._on_info_failed,
        )
        return _to_extent(info)

    def _on_info_failed(self, error: Exception) -> None:
        if isinstance(error, NotFoundError):
            self._failure = f"there is no stream {self._stream}: has setup run?"
        else:
            self._failure = f"the stream {self._stream} can't be looked up: {error}"


def _to_extent(info: StreamInfo) -> StreamExtent:
    created_ns = to_ns(info.created) if info.created else 0
    return StreamExtent(created_ns, info.state.first_seq, info.state.last_seq)
