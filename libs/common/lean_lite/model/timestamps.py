"""Lengths of time, and conversion between nanoseconds since 1970 UTC and UTC datetimes."""

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400


def utc(timestamp: object) -> datetime:
    """
    Convert a timestamp to UTC, to the microsecond; a naive one is local time, as in Python.

    Args:
        timestamp: a datetime. A subclass, such as a pandas Timestamp, becomes a plain datetime.

    Raises:
        TypeError: it is anything else, NaT included.
    """
    if type(timestamp) is datetime:
        return timestamp.astimezone(UTC)
    # NaT is a datetime that does not equal itself.
    if not isinstance(timestamp, datetime) or timestamp != timestamp:  # noqa: PLR0124
        message = f"a timestamp must be a datetime, not {timestamp!r}"
        raise TypeError(message)
    return datetime(
        *(timestamp.year, timestamp.month, timestamp.day),
        *(timestamp.hour, timestamp.minute, timestamp.second, timestamp.microsecond),
        timestamp.tzinfo,
        fold=timestamp.fold,
    ).astimezone(UTC)


def to_ns(timestamp: datetime) -> int:
    """
    Convert a timestamp to nanoseconds since 1970 UTC; a naive one is local time.

    Raises:
        TypeError: it is not a datetime.
    """
    delta = (timestamp.astimezone(UTC) if type(timestamp) is datetime else utc(timestamp)) - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


def from_ns(ns: int) -> datetime:
    """Convert nanoseconds since 1970 to a UTC datetime, rounded down to microseconds."""
    seconds, rest = divmod(ns, SECOND_NS)
    timestamp = datetime.fromtimestamp(seconds, UTC)
    return timestamp.replace(microsecond=rest // 1_000) if rest else timestamp
