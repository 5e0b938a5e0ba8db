"""Which days the New York Stock Exchange trades, by rule."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from lean_lite_sim.market.timestamps import NEW_YORK

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6
JUNETEENTH_SINCE: Final = 2022
TRADING_DAY_ENDS_HOUR: Final = 20

# Days of mourning follow no rule: Presidents Bush and Carter.
ONE_OFF_CLOSURES: Final = frozenset({date(2018, 12, 5), date(2025, 1, 9)})


def is_holiday(day: date) -> bool:
    """Tell whether the exchange keeps this weekday closed."""
    return day in ONE_OFF_CLOSURES or day in holidays(day.year)


def holidays(year: int) -> frozenset[date]:
    """List the closed days of a year, moved to the weekday on which they are observed."""
    moving = {
        _nth_weekday(year, 1, MONDAY, 3),
        _nth_weekday(year, 2, MONDAY, 3),
        easter_sunday(year) - timedelta(days=2),
        _last_monday_of_may(year),
        _nth_weekday(year, 9, MONDAY, 1),
        _nth_weekday(year, 11, THURSDAY, 4),
    }
    fixed = {date(year, 7, 4), date(year, 12, 25)}
    if year >= JUNETEENTH_SINCE:
        fixed.add(date(year, 6, 19))
    return frozenset(moving | {_observed(day) for day in fixed} | _new_year(year))


def is_half_day(day: date) -> bool:
    """Tell whether trading ends early: after Thanksgiving, on Christmas Eve and on July 3."""
    if day.weekday() >= SATURDAY or is_holiday(day):
        return False
    if (day.month, day.day) == (7, 3):
        return day.weekday() != FRIDAY
    if (day.month, day.day) == (12, 24):
        return True
    return day == _nth_weekday(day.year, 11, THURSDAY, 4) + timedelta(days=1)


def is_full_day(day: date) -> bool:
    """Tell whether the exchange trades its whole session on this day."""
    return day.weekday() < SATURDAY and not is_holiday(day) and not is_half_day(day)


def latest_full_days(count: int, before: date) -> list[date]:
    """List the latest full trading days before a date, oldest first."""
    days = _full_days_backwards(before)
    return sorted(next(days) for _ in range(count))


def first_incomplete_day(now: datetime) -> date:
    """Give the first day that is not over at an aware time; a day ends at 20:00 New York."""
    local = now.astimezone(NEW_YORK)
    ended = local.hour >= TRADING_DAY_ENDS_HOUR
    return local.date() + timedelta(days=1) if ended else local.date()


def easter_sunday(year: int) -> date:
    """Compute Easter of a Gregorian year from the lunar cycle and the weekday of its full moon."""
    golden = year % 19
    century = year // 100
    leap_skips = century - century // 4
    lunar_shift = (8 * century + 13) // 25
    moon = (leap_skips - lunar_shift + 19 * golden + 15) % 30
    moon -= moon // 28 * (1 - 29 // (moon + 1) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - leap_skips) % 7
    return date(year, 3, 28) + timedelta(days=moon - weekday)


def _full_days_backwards(before: date) -> Iterator[date]:
    day = before
    while True:
        day -= timedelta(days=1)
        if is_full_day(day):
            yield day


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _observed(day: date) -> date:
    shift = {SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _new_year(year: int) -> frozenset[date]:
    # On a Saturday it is not observed at all: the last day of December closes the year's books.
    day = date(year, 1, 1)
    return frozenset() if day.weekday() == SATURDAY else frozenset({_observed(day)})
