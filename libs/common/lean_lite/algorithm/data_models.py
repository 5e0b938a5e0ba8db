"""Bars, their resolution and their quality: the types that a strategy handles."""

from datetime import UTC, datetime
from enum import Enum
from functools import total_ordering

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_S = 1_000_000_000


class Resolution(Enum):
    """Say how much time a bar covers."""

    TICK = "tick"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAILY = "daily"

    @property
    def seconds(self) -> int:
        """Return the length in seconds; 0 for ticks."""
        return _SECONDS[self]

    @classmethod
    def from_seconds(cls, seconds: int) -> "Resolution":
        """Return the resolution of that length; ValueError when there is none."""
        for resolution, length in _SECONDS.items():
            if length == seconds:
                return resolution
        lengths = ", ".join(str(length) for length in _SECONDS.values())
        message = f"no resolution lasts {seconds} s; known lengths are {lengths}"
        raise ValueError(message)


_SECONDS = {
    Resolution.TICK: 0,
    Resolution.SECOND: 1,
    Resolution.MINUTE: 60,
    Resolution.HOUR: 3_600,
    Resolution.DAILY: 86_400,
}


@total_ordering
class DataQualityLevel(Enum):
    """Grade a record; the value is its score, and grades are ordered by it."""

    EXCELLENT = 1.0
    GOOD = 0.9
    FAIR = 0.75
    POOR = 0.5
    INVALID = 0.0

    def __lt__(self, other: object) -> bool:
        """Compare by score."""
        if not isinstance(other, DataQualityLevel):
            return NotImplemented
        return self.value < other.value

    @property
    def code(self) -> int:
        """Return the grade as it stands in a block: 0 for INVALID to 4 for EXCELLENT."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: int) -> "DataQualityLevel":
        """Return the grade of a code from 0 to 4; IndexError for others."""
        if code < 0:
            message = f"no grade has the code {code}"
            raise IndexError(message)
        return _LEVELS[code]


_LEVELS = sorted(DataQualityLevel)
_CODES = {level: code for code, level in enumerate(_LEVELS)}


def to_ns(moment: datetime) -> int:
    """Return nanoseconds since 1970 UTC; a naive moment is local time, as in Python."""
    delta = moment.astimezone(UTC) - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


def from_ns(ns: int) -> datetime:
    """Return the UTC moment of nanoseconds since 1970, cut to microseconds."""
    seconds, rest = divmod(ns, NS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)


class TradeBar(msgspec.Struct, frozen=True, kw_only=False):
    """
    Hold the trades of one span of time.

    `timestamp` is the start of the bar; it may be given naive (local time, as in Python) and is
    always aware UTC afterwards. `vwap` and `trade_count` are None when the feed has none.
    """

    symbol: str
    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None = None
    trade_count: int | None = None
    resolution: Resolution = Resolution.MINUTE

    def __post_init__(self) -> None:
        """Make the start aware UTC."""
        msgspec.structs.force_setattr(self, "timestamp", self.timestamp.astimezone(UTC))


class QuoteBar(msgspec.Struct, frozen=True):
    """
    Hold the best bid and ask of one span of time.

    `timestamp` is the start of the bar, aware UTC as in `TradeBar`; sizes are those at its end.
    """

    symbol: str
    timestamp: datetime
    bid_open: float
    bid_high: float
    bid_low: float
    bid_close: float
    ask_open: float
    ask_high: float
    ask_low: float
    ask_close: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    resolution: Resolution = Resolution.MINUTE

    def __post_init__(self) -> None:
        """Make the start aware UTC."""
        msgspec.structs.force_setattr(self, "timestamp", self.timestamp.astimezone(UTC))
