"""Grade one lane: RAW frames in, GRADED frames out, exactly one for one."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from lean_lite.blocks import Block, decode_block, empty_block, encode_block
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
from lean_lite_validate import metrics as counters
from lean_lite_validate.stream_pairs import StreamPair

# Statistics of symbols come with a later rule set; until then every frame names none.
NO_PROFILE = "0"
KEPT = (RAW_SEQ, RAW_STREAM, TAIL, RULES, PROFILE)
COMPARE_EVERY_S = 5.0
UNDECODABLE = "who wrote it is at fault: the store keeps its bytes in the table undecodable"
MARKER_PAYLOAD = encode_block(empty_block(""))

NO_ROWS: Mapping[str, int] = {}

log = logging.getLogger(__name__)


class GradedListener(Protocol):
    """Hear what becomes of each frame of a lane."""

    def on_graded(self, raw_seq: int) -> None:
        """Hear that a frame has been graded and stored."""

    async def on_rows(self, block: Block, seq: int, prev_seq: int, wall_ns: int) -> None:
        """Hear the rows of a graded frame."""

    async def on_watermark(
        self, seq: int, prev_seq: int, rows: Mapping[str, int] = NO_ROWS
    ) -> None:
        """Hear that a frame without rows was stored."""

    async def repeat_watermarks(self) -> None:
        """Do what is to be done while the lane is idle, until cancelled."""


class LaneGrader:
    """
    Own one lane of a graded stream under a lease.

    The position is kept with the output: `Raw-Seq` of the lane's last GRADED frame says what is
    done, `Tail` where the window begins. What lies between is read again and graded for the
    window's sake only.
    """

    def __init__(
        self, bus: Bus, lane: Lane, pair: StreamPair, lease: Lease, listener: GradedListener
    ) -> None:
        """Own nothing before `run`."""
        self._bus = bus
        self._lane = lane
        self._way = pair
        self._output = FencedPublisher(bus, pair.graded, pair.graded_subject(lane), lease)
        self._listener = listener
        self._grader = pair.grader(lane)
        self._raw_stream = ""
        self._done_seq = 0

    async def run(self, on_working: Callable[[], None]) -> None:
        """Fence the earlier owner off, rebuild the window and grade until cancelled."""
        tail = await self._take_over()
        on_working()
        while True:
            await self._grade_from(tail)
            tail = await self._take_over()

    async def _grade_from(self, tail: int) -> None:
        """Grade until RAW is no longer the stream that we began with."""
        consumer = Consumer(
            self._bus,
            self._way.raw,
            self._way.raw_subject(self._lane),
            self._on_frame,
            after_seq=min(tail, self._done_seq + 1) - 1,
        )
        reading = asyncio.ensure_future(consumer.run())
        heads = asyncio.ensure_future(self._listener.repeat_watermarks())
        try:
            while not await self._wait_until_recreated():
                if (await asyncio.wait([reading], timeout=COMPARE_EVERY_S))[0]:
                    reading.result()
        finally:
            heads.cancel()
            reading.cancel()
            await asyncio.wait([reading])

    async def _wait_until_recreated(self) -> bool:
        done_seq = self._done_seq
        try:
            info = await self._bus.jetstream.stream_info(self._way.raw)
        except TRANSIENT_ERRORS:
            return False
        return str(info.created) != self._raw_stream or info.state.last_seq < done_seq

    async def _take_over(self) -> int:
        last = await self._output.take_over(MARKER_PAYLOAD, keep=KEPT)
        await self._listener.on_watermark(self._output.last_seq, last.seq)
        info = await self._bus.jetstream.stream_info(self._way.raw)
        self._raw_stream = str(info.created)
        self._grader = self._way.grader(self._lane)
        self._done_seq = 0
        done_seq = int(last.headers.get(RAW_SEQ, 0))
        if done_seq == 0:
            return 1
        known = last.headers.get(RAW_STREAM) == self._raw_stream
        if not known or info.state.last_seq < done_seq or info.state.first_seq > done_seq + 1:
            counters.RESTARTED.inc()
            log.error(
                "lane.position_void",
                extra={"lane": str(self._lane), "raw_seq": done_seq, "same_stream": known},
            )
            return 1
        self._done_seq = done_seq
        self._listener.on_graded(done_seq)
        return int(last.headers[TAIL])

    async def _on_frame(self, frame: Frame) -> None:
        started = time.perf_counter()
        try:
            block = decode_block(frame.payload)
        except DecodeError as error:
            await self._publish_undecodable(frame, error)
            return
        grade = self._grader.grade(frame.seq, block)
        if frame.seq <= self._done_seq:
            counters.REBUILT.inc()
            return
        headers = self._headers(frame, grade.tail)
        prev_seq = self._output.last_seq
        seq = await self._output.publish(encode_block(grade.block), headers)
        counters.GRADE_SECONDS.observe(time.perf_counter() - started)
        self._done_seq = frame.seq
        self._listener.on_graded(frame.seq)
        self._way.tally(grade.block)
        await self._listener.on_rows(grade.block, seq, prev_seq, int(headers[WALL]))

    async def _publish_undecodable(self, frame: Frame, error: DecodeError) -> None:
        """Give an undecodable frame its place in GRADED, with its bytes and the reason."""
        if frame.seq <= self._done_seq:
            return
        counters.UNDECODABLE.inc()
        log.error(
            "frame.undecodable",
            extra={"raw_seq": frame.seq, "error": str(error), "todo": UNDECODABLE},
        )
        headers = self._headers(frame, self._grader.tail(frame.seq)) | {ERROR: str(error)}
        prev_seq = self._output.last_seq
        seq = await self._output.publish(frame.payload, headers)
        self._done_seq = frame.seq
        self._listener.on_graded(frame.seq)
        await self._listener.on_watermark(seq, prev_seq)

    def _headers(self, frame: Frame, tail: int) -> dict[str, str]:
        carried = {COVERS: frame.headers[COVERS]} if COVERS in frame.headers else {}
        return {
            **carried,
            RAW_SEQ: str(frame.seq),
            RAW_STREAM: self._raw_stream,
            TAIL: str(tail),
            RULES: str(RULES_VERSION),
            PROFILE: NO_PROFILE,
            WALL: frame.headers.get(WALL, "0"),
        }
