"""What a GRADED frame brings, and what a flush makes of many."""

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

BEST = 4  # the code of EXCELLENT


class IncomingFrame(NamedTuple):
    """
    Hold one frame: a block with rows, or why it has none; markers have neither.

    `covered` is what is whole with it; `raw_seq` is the sequence of the frame that it grades.
    """

    seq: int
    subject: str
    block: Block | None = None
    undecodable: Undecodable | None = None
    covered: Covered | None = None
    raw_seq: int = 0

    @property
    def bulk(self) -> bool:
        """Say whether the frame is of history fetched on demand."""
        return stream_of(self.subject) == BULK_GRADED

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return 0 if self.block is None else len(self.block)


class FlushBatch(NamedTuple):
    """
    Hold what one flush stores, of live frames or of history fetched in `bulk`.

    `repeated` rows were marked as repeats and left out.
    """

    frames: int
    bulk: bool
    positions: dict[str, int]
    raw_seqs: dict[str, int]
    groups: list[DayRows]
    undecodable: list[Undecodable]
    covered: list[Covered]
    repeated: int


def read_frame(frame: Frame) -> IncomingFrame:
    """Return what a frame brings, rows with the columns `seq` and `stored_ns`; never raises."""
    raw_seq = int(frame.headers.get(RAW_SEQ, 0))
    if MARKER in frame.headers:
        return IncomingFrame(frame.seq, frame.subject, raw_seq=raw_seq)
    error = frame.headers.get(ERROR)
    if error is None:
        try:
            block = _graded(frame)
            covered = _covered(frame, block)
        except DecodeError as problem:
            error = str(problem)
        else:
            rows = block if len(block) else None
            return IncomingFrame(frame.seq, frame.subject, rows, None, covered, raw_seq)
    lost = Undecodable(frame.seq, frame.subject, error, frame.payload)
    return IncomingFrame(frame.seq, frame.subject, None, lost, raw_seq=raw_seq)


def build_batch(arrivals: Sequence[IncomingFrame]) -> FlushBatch:
    """Return the rows of many frames by source and UTC day, in order of arrival."""
    blocks: dict[Source, list[Block]] = {}
    for arrival in arrivals:
        if arrival.block is not None:
            blocks.setdefault(source_of(arrival.block), []).append(arrival.block)
    groups: list[DayRows] = []
    repeated = 0
    for source, parts in blocks.items():
        joined = concat(parts)
        fresh = ~joined.is_repeat
        repeated += len(joined) - int(fresh.sum())
        groups += _by_day(source, joined.take(fresh) if not fresh.all() else joined)
    return FlushBatch(
        len(arrivals),
        arrivals[0].bulk,
        {arrival.subject: arrival.seq for arrival in arrivals},
        {arrival.subject: arrival.raw_seq for arrival in arrivals},
        groups,
        [arrival.undecodable for arrival in arrivals if arrival.undecodable is not None],
        [arrival.covered for arrival in arrivals if arrival.covered is not None],
        repeated,
    )


def _graded(frame: Frame) -> Block:
    block = decode_block(frame.payload)
    missing = GRADES.keys() - block.columns.keys()
    if missing:
        message = f"a graded block lacks {', '.join(sorted(missing))}"
        raise DecodeError(message)
    if len(block) and int(block["level"].max()) > BEST:
        message = f"level {int(block['level'].max())} is no grade"
        raise DecodeError(message)
    # Sequences of two streams can't be compared: history fetched on demand comes before all live.
    seq = 0 if stream_of(frame.subject) == BULK_GRADED else frame.seq
    # The tables of many frames are joined: symbols without rows must not make them overflow.
    return (_compact(block) if len(block.symbols) > len(block) else block).with_columns(
        seq=np.full(len(block), seq, "<i8"),
        stored_ns=np.full(len(block), frame.stored_ns, "<i8"),
    )


def _covered(frame: Frame, block: Block) -> Covered | None:
    text = frame.headers.get(COVERS)
    if text is None:
        return None
    try:
        span = CoveredSpan.from_text(text)
    except ValueError as error:
        message = f"the header {COVERS} is no span: {text!r}"
        raise DecodeError(message) from error
    return Covered(Series(source_of(block), span.symbol), span.start_ns, span.end_ns)


def _compact(block: Block) -> Block:
    used, places = np.unique(block["symbol"], return_inverse=True)
    symbols = tuple(block.symbols[index] for index in used.tolist())
    return msgspec.structs.replace(block.with_columns(symbol=places.astype("<u2")), symbols=symbols)


def _by_day(source: Source, block: Block) -> list[DayRows]:
    days = day_of(block["start_ns"])
    found = np.unique(days).tolist()
    if len(found) == 1:
        return [DayRows(source, found[0], block)]
    return [DayRows(source, day, block.take(days == day)) for day in found]
