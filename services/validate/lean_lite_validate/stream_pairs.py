"""Stream pairs that validate works on: RAW to GRADED, BULK_RAW to BULK_GRADED."""

from collections.abc import Callable
from typing import NamedTuple

from lean_lite.blocks import Block
from lean_lite.protocol import subjects
from lean_lite.protocol.partitions import Lane
from lean_lite.quality import Grader
from lean_lite_validate import metrics


class StreamPair(NamedTuple):
    """A raw stream and its graded stream, with the grader of a lane and the metrics."""

    raw: str
    graded: str
    raw_subject: Callable[[Lane], str]
    graded_subject: Callable[[Lane], str]
    grader: Callable[[Lane], Grader]
    observe: Callable[[Block], None]


def _count_live(block: Block) -> None:
    repeated = block.is_repeat
    invalid = ~block.is_valid & ~repeated
    metrics.FRAMES.inc()
    metrics.REPEATED.inc(int(repeated.sum()))
    metrics.QUARANTINED.inc(int(invalid.sum()))
    metrics.GRADED.inc(len(block) - int(repeated.sum()) - int(invalid.sum()))


def _count_bulk(block: Block) -> None:
    metrics.BULK.inc(len(block))


LIVE = StreamPair(
    subjects.RAW,
    subjects.GRADED,
    subjects.raw_of_lane,
    subjects.graded,
    lambda lane: Grader(lane.asset_class),
    _count_live,
)
# A backfill may send an earlier span after a later one: the window of its grader rewinds.
BULK = StreamPair(
    subjects.BULK_RAW,
    subjects.BULK_GRADED,
    subjects.bulk_raw_of_lane,
    subjects.bulk_graded,
    lambda lane: Grader(lane.asset_class, rewinds=True),
    _count_bulk,
)
