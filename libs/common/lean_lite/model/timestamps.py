"""Nanoseconds since 1970 UTC and UTC datetimes."""

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400


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
    seconds, rest = divmod(ns, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.replace(microsecond=rest // 1_000) if rest else moment
