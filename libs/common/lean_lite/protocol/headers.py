"""Header names of frames, and the span that a frame completes."""

from typing import NamedTuple

MSG_ID = "Nats-Msg-Id"
EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
RAW_SEQ = "Raw-Seq"  # sequence of the RAW frame that a GRADED frame grades
RAW_STREAM = "Raw-Stream"  # creation time of that stream: a new stream counts from 1 again
TAIL = "Tail"  # RAW sequence where a rebuild of the grading window starts
RULES = "Rules"  # version of the checks
PROFILE = "Profile"  # reserved; 0
WALL = "Wall-Ns"  # time when the first row was received, by the clock of the machine
COMPLETE = "Complete-Ns"  # bars of the lane that start before this have all been published
COVERS = "Covers"  # `CoveredSpan.text`: this frame completes the span
MARKER = "Marker"  # the frame has no rows and only fences the former owner
ERROR = "Error"  # why a RAW frame could not be decoded; the payload is that of the RAW frame


class CoveredSpan(NamedTuple):
    """
    Span of one symbol, `start_ns <= start < end_ns`, whose bars have all been published.

    Attributes:
        start_ns: start of the span, in ns since 1970 UTC.
        end_ns: end of the span, in ns since 1970 UTC.
        symbol: the symbol.
    """

    start_ns: int
    end_ns: int
    symbol: str

    @property
    def text(self) -> str:
        """Value of the header `Covers`."""
        return f"{self.start_ns} {self.end_ns} {self.symbol}"

    @classmethod
    def from_text(cls, text: str) -> "CoveredSpan":
        """Parse the value of the header `Covers`; ValueError if it is malformed."""
        start_ns, end_ns, symbol = text.split(" ")
        return cls(int(start_ns), int(end_ns), symbol)
