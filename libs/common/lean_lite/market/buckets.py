"""
Which longer bar a bar belongs to.

Buckets shorter than a day count from the start of the trading day and end with it: midnight in New
York for equities, midnight UTC for crypto, 17:00 in New York for forex. An hour of an equity is
therefore an hour of the clock there. Buckets of several days count from a Monday, so that `7d` is a
week.
"""

from datetime import UTC, date, datetime, time
from functools import cache

import numpy as np
import numpy.typing as npt

from lean_lite.market.calendar import Calendar, calendar_of
from lean_lite.market.sessions import DAY_NS, NEW_YORK, SECOND_NS, instant

DAY_S = 86_400
# 1970-01-05 was a Monday.
MONDAY = 4

Instants = npt.NDArray[np.int64]


class Buckets:
    """Find the buckets of one length, in seconds, for one asset class."""

    def __init__(self, asset_class: str, length_s: int) -> None:
        """Take `equity`, `crypto` or `forex`; ValueError for others and for days in part."""
        if length_s < 1 or (length_s > DAY_S and length_s % DAY_S):
            message = f"no buckets of {length_s} s: up to a day any length, beyond it whole days"
            raise ValueError(message)
        self._calendar: Calendar = calendar_of(asset_class)
        self._asset_class = asset_class
        self._length_ns = length_s * SECOND_NS
        self._days = max(length_s // DAY_S, 1)
        self._is_daily = length_s >= DAY_S

    def starts(self, at_ns: npt.ArrayLike) -> Instants:
        """Return the start of the bucket that holds each instant."""
        instants = np.asarray(at_ns, np.int64)
        if not instants.size:
            return instants
        first = int(instants.min()) // DAY_NS - self._days - 1
        midnights = self._midnights(first, int(instants.max()) // DAY_NS + 2)
        day = np.searchsorted(midnights, instants, side="right") - 1
        if self._is_daily:
            first_day = day - (day + first - MONDAY) % self._days
            days: Instants = midnights[first_day]
            return days
        since = instants - midnights[day]
        starts: Instants = instants - since % self._length_ns
        return starts

    def start(self, at_ns: int) -> int:
        """Return the start of the bucket that holds an instant."""
        return int(self.starts([at_ns])[0])

    def end(self, start_ns: int) -> int:
        """Return the end of the bucket that starts at an instant: the start of the next one."""
        day = start_ns // DAY_NS
        midnights = self._midnights(day - 1, day + self._days + 2)
        today = int(np.searchsorted(midnights, start_ns, side="right")) - 1
        if self._is_daily:
            return int(midnights[today + self._days])
        return min(start_ns + self._length_ns, int(midnights[today + 1]))

    def trading(self, start_ns: int, *, extended: bool) -> tuple[int, int]:
        """Return the first and last instant of trading in a bucket; twice its end without any."""
        end_ns = self.end(start_ns)
        spans = self._calendar.spans(start_ns, end_ns, extended=extended)
        return (spans[0][0], spans[-1][1]) if spans else (end_ns, end_ns)

    def is_regular(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether a span holds some regular trading."""
        return bool(self._calendar.spans(start_ns, end_ns, extended=False))

    def expected(self, start_ns: int, end_ns: int) -> int:
        """Return how many buckets that start in the span hold regular trading."""
        starts = {
            start
            for _, _, open_ns, close_ns, _, _ in self._calendar.sessions(
                self.start(start_ns), end_ns
            )
            for start in self._between(open_ns, close_ns)
        }
        return sum(start_ns <= start < end_ns for start in starts)

    def _between(self, open_ns: int, close_ns: int) -> list[int]:
        if self._is_daily:
            return [self.start(open_ns)]
        steps = np.arange(self.start(open_ns), close_ns, self._length_ns, dtype=np.int64)
        return list(map(int, np.unique(self.starts(steps))))

    def _midnights(self, first: int, end: int) -> Instants:
        """Return the starts of the trading days of a range of days since 1970."""
        return np.fromiter(
            (_midnight(self._asset_class, day) for day in range(first, end)), np.int64
        )


@cache
def _midnight(asset_class: str, day: int) -> int:
    """Return when a trading day begins, by its number since 1970."""
    match asset_class:
        case "crypto":
            return day * DAY_NS
        case "forex":
            return instant(_date(day - 1), time(17), NEW_YORK)
    return instant(_date(day), time.min, NEW_YORK)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY_S, UTC).date()


def regular(asset_class: str, starts_ns: Instants, ends_ns: Instants) -> npt.NDArray[np.bool_]:
    """Return which spans hold some regular trading."""
    if not len(starts_ns):
        return np.empty(0, np.bool_)
    calendar = calendar_of(asset_class)
    spans = calendar.spans(int(starts_ns.min()), int(ends_ns.max()), extended=False)
    opens, closes = np.array(spans, np.int64).reshape(-1, 2).T
    begun = np.searchsorted(opens, ends_ns, side="left")
    over: npt.NDArray[np.intp] = np.searchsorted(closes, starts_ns, side="right")
    held: npt.NDArray[np.bool_] = begun > over
    return held
