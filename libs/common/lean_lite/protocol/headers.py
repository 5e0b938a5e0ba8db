"""
Every message on the bus that is not a block: live records, requests, replies, beats.

Schemas grow by new fields with defaults, at the end; a type never changes. Times are nanoseconds
since 1970 UTC. `*_ns` named `wall` is a machine's clock, all others are the feed's clock.
"""

from typing import NamedTuple

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


class CoveredSpan(NamedTuple):
    """Name a time of one symbol, `start_ns <= start < end_ns`."""

    start_ns: int
    end_ns: int
    symbol: str

    @property
    def text(self) -> str:
        """Return the span as a header has it."""
        return f"{self.start_ns} {self.end_ns} {self.symbol}"

    @classmethod
    def from_text(cls, text: str) -> "CoveredSpan":
        """Return the span of a header; ValueError when it is none."""
        start_ns, end_ns, symbol = text.split(" ")
        return cls(int(start_ns), int(end_ns), symbol)
