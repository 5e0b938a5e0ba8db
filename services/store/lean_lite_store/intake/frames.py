"""A GRADED frame as rows, and the batch that one flush writes."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from lean_lite.blocks import Block, concat, decode_block
from lean_lite.blocks.schema import GRADES
from lean_lite.bus import Frame
from lean_lite.errors import DecodeError
from lean_lite.protocol.headers import COVERS, ERROR, MARKER, RAW_SEQ, CoveredSpan
from lean_lite.protocol.subjects import BULK_GRADED, stream_of
from lean_lite_store.storage.coverage import Covered
from lean_lite_store.storage.journal import Undecodable
from lean_lite_store.storage.series import DayRows, Series, Source, day_of, source_of

MAX_LEVEL = 4  # the code of EXCELLENT


class IncomingFrame(NamedTuple):
    """
    One frame of a graded stream: a block with rows, or why it has none; a marker has neither.

    `covers` is the span that is complete with it; `raw_seq` the sequence of the frame it grades.
    """

    seq: int
    subject: str
    block: Block | None = None
    undecodable: Undecodable | None = None
    covers: Covered | None = None
    raw_seq: int = 0

    @property
    def bulk(self) -> bool:
        """Whether the frame is of bulk history."""
        return stream_of(self.subject) == BULK_GRADED

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 0 if self.block is None else len(self.block)


class FlushBatch(NamedTuple):
    """
    What one flush writes, of live frames or of `bulk` history.

    `repeated` counts the rows that validate has marked as repeats; they are left out.
    """

    frames: int
    bulk: bool
    positions: dict[str, int]
    raw_seqs: dict[str, int]
    groups: list[DayRows]
    undecodable: list[Undecodable]
    covers: list[Covered]
    repeated: int


def read_frame(frame: Frame) -> IncomingFrame:
    """Decode a frame, adding the columns `seq` and `stored_ns`; an undecodable one never raises."""
    raw_seq = int(frame.headers.get(RAW_SEQ, 0))
    if MARKER in frame.headers:
        return IncomingFrame(frame.seq, frame.subject, raw_seq=raw_seq)
    error = frame.headers.get(ERROR)
    if error is None:
        try:
            block = _decode_graded(frame)
            covered = _read_covers(frame, block)
        except DecodeError as failure:
            error = str(failure)
        else:
            rows = block if len(block) else None
            return IncomingFrame(frame.seq, frame.subject, rows, None, covered, raw_seq)
    undecodable = Undecodable(frame.seq, frame.subject, error, frame.payload)
    return IncomingFrame(frame.seq, frame.subject, None, undecodable, raw_seq=raw_seq)


def build_batch(frames: Sequence[IncomingFrame]) -> FlushBatch:
    """Group the rows of many frames by source and UTC day, in the order of the frames."""
    blocks: dict[Source, list[Block]] = {}
    for frame in frames:
        if frame.block is not None:
            blocks.setdefault(source_of(frame.block), []).append(frame.block)
    groups: list[DayRows] = []
    repeated = 0
    for source, parts in blocks.items():
        joined = concat(parts)
        fresh = ~joined.is_repeat
        repeated += len(joined) - int(fresh.sum())
        groups += _split_by_day(source, joined.take(fresh) if not fresh.all() else joined)
    return FlushBatch(
        len(frames),
        frames[0].bulk,
        {frame.subject: frame.seq for frame in frames},
        {frame.subject: frame.raw_seq for frame in frames},
        groups,
        [frame.undecodable for frame in frames if frame.undecodable is not None],
        [frame.covers for frame in frames if frame.covers is not None],
        repeated,
    )


def _decode_graded(frame: Frame) -> Block:
    block = decode_block(frame.payload)
    missing = GRADES.keys() - block.columns.keys()
    if missing:
        message = f"a graded block has no column {', '.join(sorted(missing))}"
        raise DecodeError(message)
    if len(block) and int(block["level"].max()) > MAX_LEVEL:
        message = f"level {int(block['level'].max())} is not a quality level"
        raise DecodeError(message)
    # Sequences of two streams can't be compared: bulk history counts as older than all live bars.
    seq = 0 if stream_of(frame.subject) == BULK_GRADED else frame.seq
    # A flush joins the symbol tables of many frames: symbols without rows could overflow the index.
    return (_drop_unused_symbols(block) if len(block.symbols) > len(block) else block).with_columns(
        seq=np.full(len(block), seq, "<i8"),
        stored_ns=np.full(len(block), frame.stored_ns, "<i8"),
    )


def _read_covers(frame: Frame, block: Block) -> Covered | None:
    text = frame.headers.get(COVERS)
    if text is None:
        return None
    try:
        span = CoveredSpan.from_text(text)
    except ValueError as error:
        message = f"invalid header {COVERS}: {text!r}"
        raise DecodeError(message) from error
    return Covered(Series(source_of(block), span.symbol), span.start_ns, span.end_ns)


def _drop_unused_symbols(block: Block) -> Block:
    used, places = np.unique(block["symbol"], return_inverse=True)
    symbols = tuple(block.symbols[index] for index in used.tolist())
    return msgspec.structs.replace(block.with_columns(symbol=places.astype("<u2")), symbols=symbols)


def _split_by_day(source: Source, block: Block) -> list[DayRows]:
    days = day_of(block["start_ns"])
    found = np.unique(days).tolist()
    if len(found) == 1:
        return [DayRows(source, found[0], block)]
    return [DayRows(source, day, block.take(days == day)) for day in found]
