"""Instants as integers: nanoseconds since 1970 in UTC, and their RFC-3339 text."""

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

NEW_YORK: Final = ZoneInfo("America/New_York")
CHICAGO: Final = ZoneInfo("America/Chicago")

_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})?)?",
)


def parse_instant(text: str) -> int:
    """
    Read an RFC-3339 time or a date as nanoseconds since 1970; without an offset it is UTC.

    Raises ValueError for any other text.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        message = f"{text!r} is not an RFC-3339 time"
        raise ValueError(message)
    day, clock, fraction, offset = found.groups()
    whole = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(offset or 'Z').upper()}")
    return int(whole.timestamp()) * SECOND_NS + int((fraction or "").ljust(9, "0"))


def format_instant(instant_ns: int) -> str:
    """Write an instant as RFC-3339 with `Z` and only the fraction digits it needs."""
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{fraction_ns:09}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def format_instant_long(instant_ns: int) -> str:
    """Write an instant as RFC-3339 with `Z` and always nine fraction digits."""
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction_ns:09}Z"


@lru_cache(4096)
def local_instant(day: date, wall_time: time, zone: ZoneInfo) -> int:
    """Give the instant at which clocks in a zone show this day and time of day."""
    return int(datetime.combine(day, wall_time, zone).timestamp()) * SECOND_NS


def local_day(instant_ns: int, zone: ZoneInfo) -> date:
    """Give the date on a wall calendar in a zone at an instant; its offsets are whole hours."""
    return _day_of_hour(instant_ns // HOUR_NS, zone)


def local_midnight(instant_ns: int, zone: ZoneInfo) -> int:
    """Give the instant at which the local day that contains another instant began."""
    return local_instant(local_day(instant_ns, zone), time(), zone)


@lru_cache(4096)
def _day_of_hour(hour: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(hour * HOUR_NS // SECOND_NS, zone).date()
