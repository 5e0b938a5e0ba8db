"""
Time buckets: alignment of longer bars to trading days.

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
from lean_lite.market.sessions import NEW_YORK, instant
from lean_lite.model.timestamps import DAY_NS, DAY_S, HOUR_NS, SECOND_NS

FIRST_MONDAY = 4  # 1970-01-05, in days since 1970
NEVER_NS = (2**63 - 1, 2**63 - 1)  # a span after all others

Instants = npt.NDArray[np.int64]


class TimeBuckets:
    """
    Buckets of one length for one asset class.

    ValueError unless the length is 1 to 86,400 seconds or a multiple of a day, or for an unknown
    asset class.
    """

    def __init__(self, asset_class: str, length_s: int) -> None:
        if length_s < 1 or (length_s > DAY_S and length_s % DAY_S):
            message = f"invalid bucket length {length_s} s: use up to a day, or whole days"
            raise ValueError(message)
        self._calendar: Calendar = calendar_of(asset_class)
        self._asset_class = asset_class
        self._length_ns = length_s * SECOND_NS
        self._days = max(length_s // DAY_S, 1)
        self._is_daily = length_s >= DAY_S

    def starts(self, at_ns: npt.ArrayLike) -> Instants:
        """Return the start of the bucket of each time."""
        instants = np.asarray(at_ns, np.int64)
        if HOUR_NS % self._length_ns == 0:
            # Every trading day starts on a full hour of UTC, so buckets within an hour align to it.
            starts: Instants = instants // self._length_ns
            starts *= self._length_ns
            return starts
        if not instants.size:
            return instants
        first = int(instants.min()) // DAY_NS - self._days - 1
        midnights = self._midnights(first, int(instants.max()) // DAY_NS + 2)
        day = _count_not_after(midnights, instants) - 1
        if self._is_daily:
            index = np.arange(len(midnights))
            firsts: Instants = midnights[index - (index + first - FIRST_MONDAY) % self._days]
            return firsts[day]
        day_starts: Instants = midnights[day]
        return day_starts + (instants - day_starts) // self._length_ns * self._length_ns

    def start(self, at_ns: int) -> int:
        """Return the start of the bucket of a time."""
        return int(self.starts([at_ns])[0])

    def end(self, start_ns: int) -> int:
        """Return the end of the bucket with a given start, which is the start of the next one."""
        day = start_ns // DAY_NS
        midnights = self._midnights(day - 1, day + self._days + 2)
        today = int(np.searchsorted(midnights, start_ns, side="right")) - 1
        if self._is_daily:
            return int(midnights[today + self._days])
        return min(start_ns + self._length_ns, int(midnights[today + 1]))

    def trading(self, start_ns: int, *, extended: bool) -> tuple[int, int] | None:
        """Return start and end of the trading in the bucket with a given start, or None."""
        spans = self._calendar.spans(start_ns, self.end(start_ns), extended=extended)
        return (spans[0][0], spans[-1][1]) if spans else None

    def is_regular(self, start_ns: int, end_ns: int) -> bool:
        """Return whether a span overlaps a regular session."""
        return bool(self._calendar.spans(start_ns, end_ns, extended=False))

    def expected(self, start_ns: int, end_ns: int) -> int:
        """Return how many buckets that start in a span overlap a regular session."""
        if end_ns <= start_ns:
            return 0
        until_ns = self.end(self.start(end_ns - 1))
        sessions = self._calendar.sessions(start_ns, until_ns)
        firsts = self.starts([session.open_ns for session in sessions])
        if self._is_daily:
            # Several sessions fall into one bucket of a week.
            days = np.unique(firsts)
            return int(((days >= start_ns) & (days < end_ns)).sum())
        closes = np.array([session.close_ns for session in sessions], np.int64)
        before = self._count(firsts, np.full_like(firsts, start_ns))
        until = self._count(firsts, np.minimum(closes, end_ns))
        return int(np.maximum(until - before, 0).sum())

    def _count(self, firsts: Instants, ends: Instants) -> Instants:
        """Return how many buckets start from each first one to an end."""
        counts: Instants = np.maximum(-((firsts - ends) // self._length_ns), 0)
        return counts

    def _midnights(self, first: int, end: int) -> Instants:
        """Return the starts of trading days, by their number since 1970."""
        return np.fromiter(
            (_midnight(self._asset_class, day) for day in range(first, end)), np.int64
        )


@cache
def _midnight(asset_class: str, day: int) -> int:
    """Return the start of a trading day, by its number since 1970."""
    match asset_class:
        case "crypto":
            return day * DAY_NS
        case "forex":
            return instant(_date(day - 1), time(17), NEW_YORK)
    return instant(_date(day), time.min, NEW_YORK)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY_S, UTC).date()


def overlaps_regular_session(
    asset_class: str, starts_ns: Instants, ends_ns: Instants
) -> npt.NDArray[np.bool_]:
    """Return whether each span overlaps a regular session."""
    if not len(starts_ns):
        return np.empty(0, np.bool_)
    spans = calendar_of(asset_class).spans(int(starts_ns.min()), int(ends_ns.max()), extended=False)
    opens, closes = np.array([*spans, NEVER_NS], np.int64).T
    # Compare with the first session that has not closed when the span starts.
    overlaps: npt.NDArray[np.bool_] = opens[_count_not_after(closes, starts_ns)] < ends_ns
    return overlaps


def _count_not_after(edges: Instants, instants: Instants) -> npt.NDArray[np.intp]:
    """Return how many of the sorted edges are not after each time."""
    if len(instants) <= len(edges) or (instants[1:] < instants[:-1]).any():
        return np.searchsorted(edges, instants, side="right")
    # Many sorted times: searching for the few edges among them is faster.
    indices = np.searchsorted(instants, edges, side="left")
    return np.repeat(np.arange(len(edges) + 1), np.diff(indices, prepend=0, append=len(instants)))
