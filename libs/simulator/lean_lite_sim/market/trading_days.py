"""Trading days of the New York Stock Exchange, from the table that `make sessions` writes."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

from lean_lite_sim.market.timestamps import NEW_YORK

# Extended trading ends then.
TRADING_DAY_ENDS_HOUR: Final = 20

_SATURDAY: Final = 5


def is_full_day(day: date) -> bool:
    """Return whether the exchange has a full session; beyond the table every weekday has one."""
    return day.weekday() < _SATURDAY and day not in _closed_and_half_days()


def latest_full_days(count: int, before: date) -> list[date]:
    """List the latest full trading days before a date, oldest first."""
    days = _full_days_backwards(before)
    return sorted(next(days) for _ in range(count))


def first_incomplete_day(now: datetime) -> date:
    """Return the first day that has not ended at an aware time; days end at 20:00 New York."""
    local = now.astimezone(NEW_YORK)
    ended = local.hour >= TRADING_DAY_ENDS_HOUR
    return local.date() + timedelta(days=1) if ended else local.date()


def _full_days_backwards(before: date) -> Iterator[date]:
    day = before
    while True:
        day -= timedelta(days=1)
        if is_full_day(day):
            yield day


@cache
def _closed_and_half_days() -> frozenset[date]:
    text = (files("lean_lite_sim") / "market" / "sessions.csv").read_text("utf-8")
    rows = csv.reader(text.splitlines())
    return frozenset(date.fromisoformat(day) for day, kind in rows if kind in {"closed", "half"})
