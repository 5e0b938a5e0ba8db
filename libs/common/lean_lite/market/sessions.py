"""
Trading sessions of a year for equities, crypto and forex.

Equities follow NYSE and Nasdaq. Their closed and half days are in `sessions.csv`, which
`make sessions` writes; any other weekday has a full session. Crypto never closes: a session is one
day of UTC. Forex trades from Sunday 17:00 to Friday 17:00 in New York: a session ends at 17:00 and
has the date of that day.
"""

import csv
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from lean_lite.model.timestamps import DAY_NS, HOUR_NS, SECOND_NS

NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = ZoneInfo("America/Chicago")

_TABLE = Path(__file__).with_name("sessions.csv")
_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_SATURDAY = 5
_FOREX_CLOSE = time(17)


class Session(NamedTuple):
    """
    Trading hours of one day, in nanoseconds since 1970 UTC.

    Regular trading is [open, close), extended trading [pre, post). `label_ns` is the start of the
    day's daily bar at Alpaca: midnight in New York for equities, in Chicago for crypto.
    """

    day: date
    pre_ns: int
    open_ns: int
    close_ns: int
    post_ns: int
    label_ns: int


class SessionTable(NamedTuple):
    """Weekdays from `first` to `last`, both included, that are closed or half days."""

    first: date
    last: date
    closed: frozenset[date]
    half: frozenset[date]


def read_table() -> SessionTable:
    """Read the table of this package."""
    days: dict[str, list[date]] = {"first": [], "last": [], "closed": [], "half": []}
    with _TABLE.open(newline="") as lines:
        for day, kind in csv.reader(lines):
            days[kind].append(date.fromisoformat(day))
    (first,), (last,) = days["first"], days["last"]
    return SessionTable(first, last, frozenset(days["closed"]), frozenset(days["half"]))


def instant(day: date, hours: time, zone: ZoneInfo) -> int:
    """Convert a local date and time to nanoseconds since 1970 UTC."""
    return int(datetime.combine(day, hours, zone).timestamp()) * SECOND_NS


def equity_sessions(year: int, table: SessionTable) -> list[Session]:
    """Return the equity sessions of a year: pre-market, 9:30 to 16:00 (or 13:00), after hours."""
    return [
        _equity_session(day, close_h=13 if day in table.half else 16)
        for day in _weekdays(year)
        if day not in table.closed
    ]


def _equity_session(day: date, *, close_h: int) -> Session:
    # Clocks change on Sundays: on a weekday the hours of the clock count from midnight.
    midnight_ns = instant(day, time.min, NEW_YORK)
    close_ns = midnight_ns + close_h * HOUR_NS
    return Session(
        day,
        midnight_ns + 4 * HOUR_NS,
        midnight_ns + 9 * HOUR_NS + HOUR_NS // 2,
        close_ns,
        close_ns + 4 * HOUR_NS,
        midnight_ns,
    )


def crypto_sessions(year: int) -> list[Session]:
    """Return the crypto sessions of a year, one for each day."""
    return [_crypto_session(day) for day in _days(year)]


def _crypto_session(day: date) -> Session:
    start_ns = (day - _EPOCH).days * DAY_NS
    end_ns = start_ns + DAY_NS
    return Session(day, start_ns, start_ns, end_ns, end_ns, instant(day, time.min, CHICAGO))


def forex_sessions(year: int) -> list[Session]:
    """Return the forex sessions of a year, one for each weekday; their label is their start."""
    return [_forex_session(day) for day in _weekdays(year)]


def _forex_session(day: date) -> Session:
    start_ns = instant(day - _DAY, _FOREX_CLOSE, NEW_YORK)
    end_ns = instant(day, _FOREX_CLOSE, NEW_YORK)
    return Session(day, start_ns, start_ns, end_ns, end_ns, start_ns)


def _weekdays(year: int) -> Iterator[date]:
    return (day for day in _days(year) if day.weekday() < _SATURDAY)


def _days(year: int) -> Iterator[date]:
    first, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    return map(date.fromordinal, range(first, end))
