"""Bars, their resolution and their quality: the types that a strategy handles."""

import re
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache, total_ordering

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_S = 1_000_000_000


class Resolution(Enum):
    """
    Say how much time a bar covers.

    Beside the named ones there is one for every whole number of seconds, minutes, hours or days:
    `Resolution("5min")`, `Resolution.of(timedelta(minutes=5))`. Wherever a resolution is asked for,
    what `of` takes will do.
    """

    TICK = "tick"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAILY = "daily"

    @property
    def seconds(self) -> int:
        """Return the length in seconds; 0 for ticks."""
        return _SECONDS[self.value]

    @classmethod
    def from_seconds(cls, seconds: int) -> "Resolution":
        """Return the resolution of that length; ValueError when it is no length for a bar."""
        return _from_seconds(seconds)

    @classmethod
    def of(cls, length: object) -> "Resolution":
        """
        Return the resolution of a `Length`: a timedelta, or a text like `5min`, `1Min`, `1Day`.

        ValueError when no bar has that length, TypeError for what is no length.
        """
        if isinstance(length, Resolution):
            return length
        if isinstance(length, str):
            return _from_text(length)
        if not isinstance(length, timedelta):
            message = f"{length!r} is no resolution: {EXAMPLES}"
            raise TypeError(message)
        seconds, rest = divmod(length, timedelta(seconds=1))
        if rest:
            message = f"a bar lasts whole seconds, not {length}"
            raise ValueError(message)
        return cls.from_seconds(seconds)

    @classmethod
    def _missing_(cls, value: object) -> "Resolution | None":
        """Return the one resolution of a text like `5min`, made when it is first asked for."""
        found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return None
        count, unit = int(found["count"]), found["unit"]
        seconds = count * _UNITS[unit]
        if seconds > LONGEST_S:
            return None
        text = _text_of(seconds)
        made = object.__new__(cls)
        made._name_ = text.upper()
        made._value_ = text
        _SECONDS[text], _TEXTS[seconds] = seconds, text
        # Decoders ask here for one that is there already, and threads for the same one at once.
        known = cls._value2member_map_.setdefault(text, made)
        return known if isinstance(known, Resolution) else None


Length = Resolution | timedelta | str

EXAMPLES = "use Resolution.MINUTE, '5min', '1Min', '1Day' or a timedelta"
LONGEST_S = 366 * 86_400
_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_LENGTH = re.compile(r"(?P<count>[1-9][0-9]{0,8})(?P<unit>d|h|min|s)")
# Alpaca's names of a timeframe.
_TIMEFRAME = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>sec|min|hour|day|week)")
_TIMEFRAME_UNITS = {"sec": "s", "min": "min", "hour": "h", "day": "d"}
_SECONDS = {"tick": 0, "second": 1, "minute": 60, "hour": 3_600, "daily": 86_400}
_TEXTS = {seconds: text for text, seconds in _SECONDS.items()}


@lru_cache(1_024)
def _from_seconds(seconds: int) -> Resolution:
    if seconds not in _TEXTS and not 0 < seconds <= LONGEST_S:
        message = f"no bar lasts {seconds} s: give 1 s to {LONGEST_S // 86_400} days"
        raise ValueError(message)
    return Resolution(_text_of(seconds))


def _from_text(length: str) -> Resolution:
    text = length.lower()
    if (found := _TIMEFRAME.fullmatch(text)) is not None:
        count, unit = int(found["count"]), found["unit"]
        text = f"{count * 7}d" if unit == "week" else f"{count}{_TIMEFRAME_UNITS[unit]}"
    try:
        return Resolution(text)
    except ValueError as error:
        message = f"{length!r} is no resolution: {EXAMPLES}"
        raise ValueError(message) from error


def _text_of(seconds: int) -> str:
    if seconds in _TEXTS:
        return _TEXTS[seconds]
    unit = next(unit for unit, length in _UNITS.items() if seconds % length == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


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


def utc(moment: object) -> datetime:
    """
    Return a moment in UTC, to the microsecond; a naive one is local time, as in Python.

    A pandas Timestamp, like anything else that is a datetime, becomes a plain one. TypeError for
    what is no moment.
    """
    if type(moment) is datetime:
        return moment.astimezone(UTC)
    if not isinstance(moment, datetime) or moment != moment:  # noqa: PLR0124 - NaT is unlike itself
        message = f"a moment is a datetime, not {moment!r}"
        raise TypeError(message)
    return datetime(
        *(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second),
        moment.microsecond,
        moment.tzinfo,
        fold=moment.fold,
    ).astimezone(UTC)


def to_ns(moment: datetime) -> int:
    """Return nanoseconds since 1970 UTC; a naive moment is local time, as in Python."""
    delta = (moment.astimezone(UTC) if type(moment) is datetime else utc(moment)) - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


def from_ns(ns: int) -> datetime:
    """Return the UTC moment of nanoseconds since 1970, cut to microseconds."""
    seconds, rest = divmod(ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.replace(microsecond=rest // 1_000) if rest else moment


# Bars hold nothing that could hold them: the collector need not look at many of them.
class TradeBar(msgspec.Struct, frozen=True, gc=False):
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
        moment = self.timestamp
        if type(moment) is not datetime or moment.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(moment))


class QuoteBar(msgspec.Struct, frozen=True, gc=False):
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
        moment = self.timestamp
        if type(moment) is not datetime or moment.tzinfo is not UTC:
            msgspec.structs.force_setattr(self, "timestamp", utc(moment))
