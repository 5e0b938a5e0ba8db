"""The committed table of sessions equals that of the exchange, and its hours are right."""

from datetime import UTC, date, datetime, timedelta

import exchange_calendars  # type: ignore[import-untyped]
import pytest

from lean_lite.market.calendar import Session, calendar_of
from lean_lite.market.sessions import read_table
from lean_lite.model.timestamps import DAY_NS
from tools.sessions import TABLES, hours_of_exchange, text_of_table

HOUR_NS = DAY_NS // 24
EQUITY = calendar_of("equity")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def sessions_of(asset_class: str, day: date) -> list[Session]:
    """Return the sessions that have a date, even if they start on the day before."""
    start_ns = ns(day.isoformat())
    near = calendar_of(asset_class).sessions(start_ns - DAY_NS, start_ns + 2 * DAY_NS)
    return [session for session in near if session.day == day]


def session_of(asset_class: str, day: date) -> Session:
    (session,) = sessions_of(asset_class, day)
    return session


def test_the_tables_of_library_and_simulator_are_what_the_generator_writes() -> None:
    table = read_table()
    expected = text_of_table(table.first, table.last)
    for path in TABLES:
        assert path.read_text() == expected, f"{path} is old: run `make sessions`"


def test_every_session_opens_and_closes_as_the_exchange_does() -> None:
    table = read_table()
    calendar_hours = {
        session.day: (session.open_ns, session.close_ns)
        for session in EQUITY.sessions(EQUITY.since_ns, EQUITY.until_ns)
    }
    exchange_hours = {
        day: tuple(ns(f"{day} {hour}") for hour in hours)
        for day, hours in hours_of_exchange(table.first, table.last).items()
    }
    offsets = {
        tuple(
            (opens - utc) // HOUR_NS for opens, utc in zip(hours, exchange_hours[day], strict=True)
        )
        for day, hours in calendar_hours.items()
    }
    assert calendar_hours.keys() == exchange_hours.keys()
    assert offsets == {(4, 4), (5, 5)}


def test_nyse_and_nasdaq_have_the_same_sessions() -> None:
    assert exchange_calendars.resolve_alias("NASDAQ") == exchange_calendars.resolve_alias("NYSE")


def test_the_table_covers_the_history_of_its_feeds_and_the_coming_year() -> None:
    table = read_table()
    assert table.first <= date(2006, 11, 24)
    assert table.last >= date(2027, 11, 24)
    assert table.half.isdisjoint(table.closed)


@pytest.mark.parametrize(
    "day",
    [
        date(2001, 9, 11),
        date(2012, 10, 29),  # a hurricane
        date(2018, 12, 5),  # mourning for President Bush
        date(2025, 1, 9),  # mourning for President Carter
        date(2026, 4, 3),
        date(2026, 6, 19),
        date(2026, 7, 3),
        date(2026, 11, 26),
        date(2026, 11, 28),
        date(2027, 1, 1),
    ],
)
def test_equities_have_no_session_on_a_closed_day(day: date) -> None:
    assert sessions_of("equity", day) == []


def test_the_day_after_thanksgiving_closes_at_13_new_york() -> None:
    assert session_of("equity", date(2026, 11, 27)) == Session(
        date(2026, 11, 27),
        ns("2026-11-27 09:00"),
        ns("2026-11-27 14:30"),
        ns("2026-11-27 18:00"),
        ns("2026-11-27 22:00"),
        ns("2026-11-27 05:00"),
    )


@pytest.mark.parametrize(
    ("day", "midnight", "post"),
    [
        (date(2026, 3, 6), "2026-03-06 05:00", "2026-03-07 01:00"),
        (date(2026, 3, 9), "2026-03-09 04:00", "2026-03-10 00:00"),
        (date(2026, 10, 30), "2026-10-30 04:00", "2026-10-31 00:00"),
        (date(2026, 11, 2), "2026-11-02 05:00", "2026-11-03 01:00"),
    ],
)
def test_the_hours_follow_the_clocks_of_new_york_over_both_changes(
    day: date, midnight: str, post: str
) -> None:
    label_ns = ns(midnight)
    assert session_of("equity", day) == Session(
        day,
        label_ns + 4 * HOUR_NS,
        label_ns + 9 * HOUR_NS + HOUR_NS // 2,
        label_ns + 16 * HOUR_NS,
        ns(post),
        label_ns,
    )


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2026, 3, 8), "2026-03-08 06:00"),
        (date(2026, 3, 9), "2026-03-09 05:00"),
        (date(2026, 11, 1), "2026-11-01 05:00"),
        (date(2026, 11, 2), "2026-11-02 06:00"),
    ],
)
def test_a_session_of_crypto_is_a_day_of_utc_labelled_in_chicago(day: date, label: str) -> None:
    start_ns = ns(day.isoformat())
    end_ns = start_ns + DAY_NS
    assert session_of("crypto", day) == Session(day, start_ns, start_ns, end_ns, end_ns, ns(label))


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2026, 3, 6), "2026-03-05 22:00", "2026-03-06 22:00"),
        (date(2026, 3, 9), "2026-03-08 21:00", "2026-03-09 21:00"),
        (date(2026, 11, 2), "2026-11-01 22:00", "2026-11-02 22:00"),
        (date(2027, 1, 1), "2026-12-31 22:00", "2027-01-01 22:00"),
    ],
)
def test_a_session_of_forex_ends_at_17_new_york(day: date, opens: str, closes: str) -> None:
    session = session_of("forex", day)
    assert (session.open_ns, session.close_ns) == (ns(opens), ns(closes))
    assert (session.pre_ns, session.post_ns) == (ns(opens), ns(closes))


def test_forex_has_no_session_on_a_weekend() -> None:
    saturday = date(2026, 11, 21)
    for day in (saturday, saturday + timedelta(days=1)):
        assert sessions_of("forex", day) == []
