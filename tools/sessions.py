"""
Write the table of closed and half days of NYSE and Nasdaq, for the library and the simulator.

Run it with `make sessions`. The table ends with the year after next: the exchanges announce their
days three years at a time. The simulator imports nothing of the library, so it has a copy.
"""

import warnings
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import exchange_calendars  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
TABLES = (
    ROOT / "libs/common/lean_lite/market/sessions.csv",
    ROOT / "libs/simulator/lean_lite_sim/market/sessions.csv",
)
FIRST = date(1993, 1, 1)  # since then every session has had today's hours
FULL = time(9, 30), time(16)
HALF = time(9, 30), time(13)
SATURDAY = 5


def hours_of_exchange(first: date, last: date) -> dict[date, tuple[time, time]]:
    """Return when each session opened and closed by the clocks of New York."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Series.values returning")
        calendar = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    opens, closes = (
        calendar.schedule[name].dt.tz_convert("America/New_York").dt.time
        for name in ("open", "close")
    )
    days = [session.date() for session in calendar.sessions]
    return dict(zip(days, zip(opens, closes, strict=True), strict=True))


def text_of_table(first: date, last: date) -> str:
    """Return the table as CSV; ValueError for a session with hours that it can't hold."""
    hours = hours_of_exchange(first, last)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    kinds = ((day, _kind_of(day, hours.get(day))) for day in days)
    rows = [(first, "first"), *kinds, (last, "last")]
    return "".join(f"{day},{kind}\n" for day, kind in rows if kind)


def _kind_of(day: date, hours: tuple[time, time] | None) -> str | None:
    if hours == FULL or (hours is None and day.weekday() >= SATURDAY):
        return None
    if hours is None:
        return "closed"
    if hours == HALF and day.weekday() < SATURDAY:
        return "half"
    message = f"{day}: a session with hours {hours}; teach lean_lite.market.sessions to hold it"
    raise ValueError(message)


if __name__ == "__main__":
    text = text_of_table(FIRST, date(datetime.now(UTC).year + 2, 12, 31))
    for table in TABLES:
        table.write_text(text)
