"""Timestamps: nanoseconds since 1970 (UTC), RFC-3339 text, local days."""

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
    Parse an RFC-3339 time or a date; without an offset it is UTC.

    Raises ValueError for any other text.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        message = f"invalid RFC-3339 time {text!r}: expected e.g. 2026-11-24T09:30:00-05:00"
        raise ValueError(message)
    day, clock, fraction, offset = found.groups()
    seconds = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(offset or 'Z').upper()}")
    return int(seconds.timestamp()) * SECOND_NS + int((fraction or "").ljust(9, "0"))


def format_instant(instant_ns: int) -> str:
    """Format a timestamp as RFC-3339 with `Z`, without trailing zeros of the fraction."""
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{fraction_ns:09}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def format_instant_long(instant_ns: int) -> str:
    """Format a timestamp as RFC-3339 with `Z` and nine fraction digits."""
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction_ns:09}Z"


@lru_cache(4096)
def local_instant(day: date, wall_time: time, zone: ZoneInfo) -> int:
    """Return the timestamp of a day and a time of day in a zone."""
    return int(datetime.combine(day, wall_time, zone).timestamp()) * SECOND_NS


def local_day(instant_ns: int, zone: ZoneInfo) -> date:
    """Return the date in a zone whose offsets are full hours."""
    return _day_of_hour(instant_ns // HOUR_NS, zone)


def local_midnight(instant_ns: int, zone: ZoneInfo) -> int:
    """Return the start of the local day that contains a timestamp."""
    return local_instant(local_day(instant_ns, zone), time(), zone)


@lru_cache(4096)
def _day_of_hour(hour: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(hour * HOUR_NS // SECOND_NS, zone).date()
