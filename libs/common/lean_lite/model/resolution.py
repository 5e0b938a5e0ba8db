"""Resolution of a bar, and the texts and timedeltas that name one."""

import re
from datetime import timedelta
from enum import Enum
from functools import lru_cache


class Resolution(Enum):
    """
    Length of time that a bar covers.

    Besides the named members there is one for every whole number of seconds up to 366 days:
    `Resolution("5min")`, `Resolution.of(timedelta(minutes=5))`. Each length has exactly one member,
    so that `is` compares lengths. Every parameter of this type also accepts what `of` accepts.
    """

    TICK = "tick"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAILY = "daily"

    @property
    def seconds(self) -> int:
        """Length in seconds; 0 for ticks."""
        return _SECONDS[self.value]

    @classmethod
    def from_seconds(cls, seconds: int) -> "Resolution":
        """
        Return the resolution of a length.

        Args:
            seconds: length in seconds, 1 to 31,622,400 (366 days); 0 for ticks.

        Raises:
            ValueError: the length is out of range.
        """
        return _from_seconds(seconds)

    @classmethod
    def of(cls, length: object) -> "Resolution":
        """
        Return the resolution of a `Length`.

        Args:
            length: a resolution, a timedelta, or a text: `5min`, or Alpaca's `1Min`, `1Day`.

        Raises:
            ValueError: the text or length does not name a resolution.
            TypeError: the argument has another type.
        """
        if isinstance(length, Resolution):
            return length
        if isinstance(length, str):
            return _from_text(length)
        if not isinstance(length, timedelta):
            message = f"invalid resolution {length!r}: {EXAMPLES}"
            raise TypeError(message)
        seconds, rest = divmod(length, timedelta(seconds=1))
        if rest:
            message = f"invalid resolution {length}: a bar lasts whole seconds"
            raise ValueError(message)
        return cls.from_seconds(seconds)

    @classmethod
    def _missing_(cls, value: object) -> "Resolution | None":
        """Return the only member of a text like `5min`, created at its first use."""
        match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return None
        count, unit = int(match["count"]), match["unit"]
        seconds = count * _UNITS[unit]
        if seconds > LONGEST_S:
            return None
        text = _text_of(seconds)
        created = object.__new__(cls)
        created._name_ = text.upper()
        created._value_ = text
        _SECONDS[text], _TEXTS[seconds] = seconds, text
        # Decoders call this for members that exist, and two threads may create the same one at
        # the same time: the first to be registered is the member.
        member = cls._value2member_map_.setdefault(text, created)
        return member if isinstance(member, Resolution) else None


Length = Resolution | timedelta | str
# Resolutions whose bars the vendor sends and the store holds, the longest first. All others are
# folded from the longest that divides them. To add one, add a slice in ingest's `backfill` and a
# timeframe in the vendor's REST client, too.
STORED = (Resolution.DAILY, Resolution.MINUTE)
EXAMPLES = "use Resolution.MINUTE, '5min', '1Min', '1Day' or a timedelta"
LONGEST_S = 366 * 86_400  # a leap year
_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_LENGTH = re.compile(r"(?P<count>[1-9][0-9]{0,8})(?P<unit>d|h|min|s)")
# Alpaca's timeframes, such as 1Min; matched in lower case.
_TIMEFRAME = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>sec|min|hour|day|week)")
_TIMEFRAME_UNITS = {"sec": "s", "min": "min", "hour": "h", "day": "d"}
_SECONDS = {"tick": 0, "second": 1, "minute": 60, "hour": 3_600, "daily": 86_400}
_TEXTS = {seconds: text for text, seconds in _SECONDS.items()}


@lru_cache(1_024)
def _from_seconds(seconds: int) -> Resolution:
    if seconds not in _TEXTS and not 0 < seconds <= LONGEST_S:
        days = LONGEST_S // 86_400
        message = f"invalid resolution of {seconds} s: a bar lasts 1 s to {days} days"
        raise ValueError(message)
    return Resolution(_text_of(seconds))


def _from_text(length: str) -> Resolution:
    text = length.lower()
    if (match := _TIMEFRAME.fullmatch(text)) is not None:
        count, unit = int(match["count"]), match["unit"]
        text = f"{count * 7}d" if unit == "week" else f"{count}{_TIMEFRAME_UNITS[unit]}"
    try:
        return Resolution(text)
    except ValueError as error:
        message = f"invalid resolution {length!r}: {EXAMPLES}"
        raise ValueError(message) from error


def _text_of(seconds: int) -> str:
    if seconds in _TEXTS:
        return _TEXTS[seconds]
    unit = next(unit for unit, length in _UNITS.items() if seconds % length == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
