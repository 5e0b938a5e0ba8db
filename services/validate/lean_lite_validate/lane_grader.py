"""Grade one lane: RAW frames in, GRADED frames out, exactly one for one."""

import asyncio
import logging
import time
from collections.abc import Callable

from lean_lite.blocks import decode_block, empty_block, encode_block
from lean_lite.bus import Bus, Consumer, FencedPublisher, Frame, Lease
from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.errors import DecodeError
from lean_lite.protocol.headers import (
    COVERS,
    ERROR,
    PROFILE,
    RAW_SEQ,
    RAW_STREAM,
    RULES,
    TAIL,
    WALL,
)
from lean_lite.protocol.partitions import Lane
from lean_lite.quality import RULES_VERSION
from lean_lite_validate import metrics
from lean_lite_validate.live_publisher import LivePublisher
from lean_lite_validate.stream_pairs import StreamPair

# Statistics of symbols come with a later rule set; until then every frame names none.
NO_PROFILE = "0"
# What a new owner reads from the last GRADED frame; its marker carries the same headers.
POSITION_HEADERS = (RAW_SEQ, RAW_STREAM, TAIL, RULES, PROFILE)
# A recreated RAW stream is rare, and until it is noticed the lane only waits.
COMPARE_STREAM_EVERY_S = 5.0
MARKER_PAYLOAD = encode_block(empty_block(""))

log = logging.getLogger(__name__)


class LaneGrader:
    """
    Grader of one lane under a lease.

    The position is stored with the output: `Raw-Seq` of the lane's last GRADED frame is the last
    RAW frame that was graded, `Tail` the one where the window of the checks begins. Frames between
    the two are graded again to rebuild the window, and not published.

    Args:
        live: publishes graded rows and watermarks to clients; None for bulk history.
        on_graded: called with the RAW sequence of each frame once GRADED has acknowledged it.
    """

    def __init__(
        self,
        bus: Bus,
        lane: Lane,
        pair: StreamPair,
        lease: Lease,
        *,
        live: LivePublisher | None = None,
        on_graded: Callable[[int], None] | None = None,
    ) -> None:
        self._bus = bus
        self._lane = lane
        self._pair = pair
        self._output = FencedPublisher(bus, pair.graded, pair.graded_subject(lane), lease)
        self._live = live
        self._on_graded = on_graded
        self._grader = pair.grader(lane)
        self._raw_stream = ""
        self._graded_seq = 0

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Fence the former owner, rebuild the window and grade until cancelled."""
        tail = await self._take_over()
        on_ready()
        while True:
            await self._grade_from(tail)
            tail = await self._take_over()

    async def _grade_from(self, tail: int) -> None:
        """Grade until the RAW stream is replaced by another one."""
        consumer = Consumer(
            self._bus,
            self._pair.raw,
            self._pair.raw_subject(self._lane),
            self._on_frame,
            after_seq=min(tail, self._graded_seq + 1) - 1,
        )
        consuming = asyncio.ensure_future(consumer.run())
        repeating = None if self._live is None else asyncio.ensure_future(self._live.run())
        try:
            while not await self._is_stream_replaced():
                if (await asyncio.wait([consuming], timeout=COMPARE_STREAM_EVERY_S))[0]:
                    consuming.result()
        finally:
            if repeating is not None:
                repeating.cancel()
            consuming.cancel()
            await asyncio.wait([consuming])

    async def _is_stream_replaced(self) -> bool:
        # Read before the request: the answer may not include a frame that is graded during it.
        graded_seq = self._graded_seq
        try:
            info = await self._bus.jetstream.stream_info(self._pair.raw)
        except TRANSIENT_ERRORS:
            return False
        return str(info.created) != self._raw_stream or info.state.last_seq < graded_seq

    async def _take_over(self) -> int:
        """Fence the former owner and return the RAW sequence where the rebuild starts."""
        # From the marker on, the fence refuses all writes of a former owner.
        last = await self._output.take_over(MARKER_PAYLOAD, keep=POSITION_HEADERS)
        if self._live is not None:
            await self._live.publish_watermark(self._output.last_seq, last.seq)
        info = await self._bus.jetstream.stream_info(self._pair.raw)
        self._raw_stream = str(info.created)
        self._grader = self._pair.grader(self._lane)
        self._graded_seq = 0
        graded_seq = int(last.headers.get(RAW_SEQ, 0))
        if graded_seq == 0:
            return 1
        same_stream = last.headers.get(RAW_STREAM) == self._raw_stream
        if (
            not same_stream
            or info.state.last_seq < graded_seq
            or info.state.first_seq > graded_seq + 1
        ):
            metrics.RESTARTED.inc()
            log.error(
                "lane.position_invalid",
                extra={
                    "lane": str(self._lane),
                    "raw_seq": graded_seq,
                    "same_stream": same_stream,
                },
            )
            return 1
        self._note_graded(graded_seq)
        return int(last.headers[TAIL])

    def _note_graded(self, raw_seq: int) -> None:
        self._graded_seq = raw_seq
        if self._on_graded is not None:
            self._on_graded(raw_seq)

    async def _on_frame(self, frame: Frame) -> None:
        started = time.perf_counter()
        try:
            block = decode_block(frame.payload)
        except DecodeError as error:
            await self._publish_undecodable(frame, error)
            return
        graded = self._grader.grade(frame.seq, block)
        if frame.seq <= self._graded_seq:
            metrics.REBUILT.inc()
            return
        headers = self._headers(frame, graded.tail)
        prev_seq = self._output.last_seq
        seq = await self._output.publish(encode_block(graded.block), headers)
        metrics.GRADE_SECONDS.observe(time.perf_counter() - started)
        self._note_graded(frame.seq)
        self._pair.observe(graded.block)
        if self._live is not None:
            await self._live.publish(graded.block, seq, prev_seq, int(headers[WALL]))

    async def _publish_undecodable(self, frame: Frame, error: DecodeError) -> None:
        """Publish an undecodable frame to GRADED with its bytes and the error."""
        if frame.seq <= self._graded_seq:
            return
        metrics.UNDECODABLE.inc()
        log.error(
            "frame.undecodable",
            extra={
                "raw_seq": frame.seq,
                "error": str(error),
                "hint": "its publisher is faulty: the store's table `undecodable` has the bytes",
            },
        )
        headers = self._headers(frame, self._grader.tail(frame.seq)) | {ERROR: str(error)}
        prev_seq = self._output.last_seq
        seq = await self._output.publish(frame.payload, headers)
        self._note_graded(frame.seq)
        if self._live is not None:
            await self._live.publish_watermark(seq, prev_seq)

    def _headers(self, frame: Frame, tail: int) -> dict[str, str]:
        covers = {COVERS: frame.headers[COVERS]} if COVERS in frame.headers else {}
        return {
            **covers,
            RAW_SEQ: str(frame.seq),
            RAW_STREAM: self._raw_stream,
            TAIL: str(tail),
            RULES: str(RULES_VERSION),
            PROFILE: NO_PROFILE,
            WALL: frame.headers.get(WALL, "0"),
        }
