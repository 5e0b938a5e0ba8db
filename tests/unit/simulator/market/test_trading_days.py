from datetime import UTC, date, datetime, timedelta

import exchange_calendars  # type: ignore[import-untyped]
import pytest

from lean_lite_sim.market.trading_days import first_incomplete_day, is_full_day, latest_full_days


@pytest.mark.filterwarnings("ignore:Series.values returning")
def test_full_days_are_those_of_the_exchange_from_2015_to_2026() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="2014-12-01", end="2026-12-31")
    sessions = {session.date() for session in calendar.sessions}
    half_days = {session.date() for session in calendar.early_closes}
    days = [date(2015, 1, 1) + timedelta(days=n) for n in range(12 * 365 + 3)]
    full_days = {day for day in days if is_full_day(day)}
    assert full_days == {day for day in sessions - half_days if day.year >= 2015}


@pytest.mark.parametrize(
    ("day", "full"),
    [
        (date(2026, 11, 25), True),
        (date(2026, 11, 26), False),  # Thanksgiving
        (date(2026, 11, 27), False),  # a half day
        (date(2026, 11, 28), False),  # a Saturday
        (date(2025, 1, 9), False),  # mourning for President Carter
        (date(2040, 1, 2), True),  # beyond the table
    ],
)
def test_holidays_half_days_and_weekends_are_not_full_days(day: date, full: bool) -> None:  # noqa: FBT001
    assert is_full_day(day) == full


def test_the_latest_full_days_leave_out_a_holiday_and_a_half_day() -> None:
    assert latest_full_days(3, date(2026, 11, 30)) == [
        date(2026, 11, 23),
        date(2026, 11, 24),
        date(2026, 11, 25),
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 24, 0, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 24, 1, 0, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 7, 15, 0, 0, tzinfo=UTC), date(2026, 7, 15)),
    ],
)
def test_a_day_ends_at_20_new_york_in_winter_and_in_summer(now: datetime, expected: date) -> None:
    assert first_incomplete_day(now) == expected
