"""Resolution of a bar, and the texts and timedeltas it accepts."""

import re
from datetime import timedelta
from enum import Enum
from functools import lru_cache


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
