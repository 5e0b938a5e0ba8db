"""
Every message on the bus that is not a block: live records, requests, replies, beats.

Schemas grow by new fields with defaults, at the end; a type never changes. Times are nanoseconds
since 1970 UTC. `*_ns` named `wall` is a machine's clock, all others are the feed's clock.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from lean_lite.algorithm.data_models import DataQualityLevel, Resolution, TradeBar, from_ns
from lean_lite.blocks import Block, Origin

# Bars of these origins come in the order of their minutes; all others are late.
PUNCTUAL = (Origin.LIVE, Origin.CUSTOM)

# Headers of frames.
MSG_ID = "Nats-Msg-Id"
EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
RAW_SEQ = "Raw-Seq"  # the RAW frame that a GRADED frame grades
RAW_STREAM = "Raw-Stream"  # when that stream was created: sequences of another one are void
TAIL = "Tail"  # the RAW sequence where a rebuild of the grading state starts
RULES = "Rules"
PROFILE = "Profile"
WALL = "Wall-Ns"  # when the first row came off the wire
COMPLETE = "Complete-Ns"  # bars of the lane that start before this have all been published
COVERS = "Covers"  # `Span.text` of what is whole with this frame, of one symbol
MARKER = "Marker"  # the frame only fences an earlier owner off
ERROR = "Error"  # the payload is the undecodable bytes themselves


class LiveBar(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Carry one graded bar to strategies.

    `seq` is the sequence of its frame in GRADED; `late` marks refills and corrections; `reasons`
    is the bit mask of failed checks.
    """

    symbol: str
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    level: int
    seq: int
    feed: str
    wall_ns: int
    vwap: float | None = None
    trade_count: int | None = None
    reasons: int = 0
    origin: int = 0
    late: bool = False
    simulated: bool = False
    resolution_s: int = 60

    @property
    def quality(self) -> DataQualityLevel:
        """Return the grade."""
        return DataQualityLevel.from_code(self.level)

    def bar(self) -> TradeBar:
        """Return the bar without its grade."""
        return TradeBar(
            self.symbol,
            from_ns(self.start_ns),
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.vwap,
            self.trade_count,
            Resolution.from_seconds(self.resolution_s),
        )


def live_bars(
    block: Block, *, seq: int | None = None, wall_ns: int = 0, late: bool = False
) -> list[LiveBar]:
    """
    Return the rows of a graded block as live records.

    `seq` is the sequence of its GRADED frame; without it the block's own column says so.
    """
    seqs = block["seq"].tolist() if seq is None else [seq] * len(block)
    names = ("start_ns", *block.kind.values, "level", "reasons", "origin")
    rows = zip(block.symbol_names, seqs, *(block[n].tolist() for n in names), strict=True)
    return [
        LiveBar(
            symbol,
            start_ns,
            opened,
            high,
            low,
            close,
            volume,
            level,
            of_frame,
            block.feed,
            wall_ns,
            None if math.isnan(vwap) else vwap,
            None if count < 0 else count,
            reasons,
            origin,
            late or origin not in PUNCTUAL,
            block.simulated,
            block.resolution.seconds,
        )
        for (
            symbol,
            of_frame,
            start_ns,
            opened,
            high,
            low,
            close,
            volume,
            vwap,
            count,
            level,
            reasons,
            origin,
        ) in rows
    ]


class LiveHead(msgspec.Struct, frozen=True):
    """
    Say that every live record of a lane up to `seq` has been published.

    `prev_seq` is the frame before, and `rows` how many records of each symbol the frame has: a
    reader who lacks one of them has missed something.
    """

    seq: int
    prev_seq: int
    rows: dict[str, int] = {}


class HistoryRequest(msgspec.Struct, frozen=True):
    """
    Ask for stored bars with `start_ns <= start < end_ns`.

    `min_seq` maps a lane to the GRADED sequence that the answer must include; `after` keeps only
    rows that came in a later frame of their lane. An empty `feed` means the account's feed of the
    symbol's asset class; of a class that the account has none for, the feed with the newest bar.
    Without symbols the answer has no rows, only `through`, up to the end of GRADED.

    With `wait_s` the store fetches what it lacks, and answers after that long at the latest: with
    `done` below 1 and no rows while it is still at work, except when `wait_s` is 0. Without it the
    answer is what is stored.
    """

    symbols: tuple[str, ...] = ()
    start_ns: int = 0
    end_ns: int = 2**63 - 1
    resolution_s: int = 60
    feed: str = ""
    min_seq: dict[str, int] = {}
    after: dict[str, int] = {}
    wait_s: float | None = None


class Span(NamedTuple):
    """Name a time of one symbol, `start_ns <= start < end_ns`."""

    start_ns: int
    end_ns: int
    symbol: str

    @property
    def text(self) -> str:
        """Return the span as a header has it."""
        return f"{self.start_ns} {self.end_ns} {self.symbol}"

    @classmethod
    def of_text(cls, text: str) -> "Span":
        """Return the span of a header; ValueError when it is none."""
        start_ns, end_ns, symbol = text.split(" ")
        return cls(int(start_ns), int(end_ns), symbol)


class Gap(msgspec.Struct, frozen=True):
    """Name a time in which a symbol may have had bars that could not be had, and why."""

    symbol: str
    start_ns: int
    end_ns: int
    reason: str


class HistoryReply(msgspec.Struct, frozen=True):
    """
    Open the answer to a `HistoryRequest`: one snapshot.

    `through` maps a lane to the last GRADED sequence that the store has applied. That many encoded
    blocks follow as chunks, one symbol each, every symbol's rows in order of start. `done` is the
    share of the span that need not be waited for any more; `gaps` is what could not be had of it.
    """

    through: dict[str, int]
    rows: int
    chunks: int
    done: float = 1.0
    gaps: tuple[Gap, ...] = ()


class BackfillRequest(msgspec.Struct, frozen=True):
    """
    Ask ingest for bars with `start_ns <= start < end_ns` of one symbol; the same is fetched once.

    The answer comes when all of it is in the stream of bulk frames, after `wait_s` at the latest.
    An empty `feed` means the one that serves the symbol.
    """

    symbol: str
    start_ns: int
    end_ns: int
    resolution_s: int = 60
    feed: str = ""
    wait_s: float = 1.0


class BackfillReply(msgspec.Struct, frozen=True):
    """
    Say whether a backfill is over, how far it could reach, and why it failed.

    Bars that start from `until_ns` on are not final yet in the feed's time.
    """

    over: bool
    until_ns: int
    failed: str = ""


class Problem(msgspec.Struct, frozen=True):
    """Refuse a request: a short code for programs, a message that says what to do."""

    code: str
    message: str


class SubscribeRequest(msgspec.Struct, frozen=True):
    """Ask for live bars; repeated every few seconds, because a silent client is forgotten."""

    client: str
    symbols: tuple[str, ...]


class SubscribeReply(msgspec.Struct, frozen=True):
    """
    Say which symbols are served and, for the others, why not.

    `feeds` maps each accepted symbol to the feed that serves it: records of others are not meant.
    """

    accepted: tuple[str, ...]
    refused: dict[str, str] = {}
    feeds: dict[str, str] = {}


class Interest(msgspec.Struct, frozen=True):
    """Remember in the bucket `interest` that somebody wants a symbol, and since when."""

    symbol: str
    feed: str
    since_ns: int


class Taken(NamedTuple):
    """Name a bar that was taken, and the GRADED frame that it came with."""

    symbol: str
    start_ns: int
    seq: int


class Joined(NamedTuple):
    """Say which live bars of a symbol count: of frames after `seq`, from a start on."""

    seq: int
    start_ns: int


class Bookmark(msgspec.Struct, frozen=True):
    """
    Remember in the bucket `strategies` how far a reader with a durable name has come.

    `done` maps a lane to the last GRADED frame that it is done with, `beyond` holds what it is done
    with of later frames. `reader` tells one process that reads under the name from another.
    `symbols` are those it read: a lane may have others. It was empty in earlier versions.
    """

    reader: str
    done: dict[str, int]
    beyond: tuple[Taken, ...] = ()
    symbols: dict[str, Joined] = {}


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Carry one value of one counter or gauge, named as Prometheus has it."""

    name: str
    labels: dict[str, str]
    value: float


class Beat(msgspec.Struct, frozen=True):
    """
    Tell a service's state, every second.

    `failing` names what keeps it from being ready, and `outside` those of it that nobody in the
    stack can mend; `url` is where its health is served; `counted` holds its Prometheus samples.
    """

    service: str
    instance: str
    pid: int
    started_wall_ns: int
    wall_ns: int
    failing: tuple[str, ...] = ()
    url: str = ""
    version: str = ""
    samples: tuple[Sample, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Say whether nothing keeps the service from working."""
        return not self.failing

    def counted(self, name: str) -> Iterator[Sample]:
        """Yield the samples of one name."""
        return (sample for sample in self.samples if sample.name == name)


FeedState = Literal["connected", "refused"]
GapState = Literal["filled", "unrecoverable"]


class FeedEvent(msgspec.Struct, frozen=True, tag="feed"):
    """Tell that a feed has changed its state."""

    feed: str
    state: FeedState
    wall_ns: int
    detail: str = ""


class GapEvent(msgspec.Struct, frozen=True, tag="gap"):
    """Tell that bars may be missing in a span, or that they were fetched again."""

    feed: str
    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: GapState
    rows: int = 0
    detail: str = ""


Event = FeedEvent | GapEvent
