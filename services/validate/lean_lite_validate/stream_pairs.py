"""The two ways that bars take through validate: live, and history in bulk."""

from collections.abc import Callable
from typing import NamedTuple

from lean_lite.blocks import Block
from lean_lite.protocol import subjects
from lean_lite.protocol.partitions import Lane
from lean_lite.quality import Grader
from lean_lite_validate import metrics as counters


class StreamPair(NamedTuple):
    """Name the streams and subjects of one way, how it grades, and how it counts."""

    raw: str
    graded: str
    raw_subject: Callable[[Lane], str]
    graded_subject: Callable[[Lane], str]
    grader: Callable[[Lane], Grader]
    tally: Callable[[Block], None]


def _count_live(block: Block) -> None:
    repeated = block.is_repeat
    invalid = ~block.is_valid & ~repeated
    counters.FRAMES.inc()
    counters.REPEATED.inc(int(repeated.sum()))
    counters.QUARANTINED.inc(int(invalid.sum()))
    counters.GRADED.inc(len(block) - int(repeated.sum()) - int(invalid.sum()))


def _count_bulk(block: Block) -> None:
    counters.BULK.inc(len(block))


LIVE = StreamPair(
    subjects.RAW,
    subjects.GRADED,
    subjects.raw_of_lane,
    subjects.graded,
    lambda lane: Grader(lane.asset_class),
    _count_live,
)
BULK = StreamPair(
    subjects.BULK_RAW,
    subjects.BULK_GRADED,
    subjects.bulk_raw_of_lane,
    subjects.bulk_graded,
    lambda lane: Grader(lane.asset_class, rewinds=True),
    _count_bulk,
)
