"""
Trading calendar: sessions in a span, and expected numbers of bars.

Every time is in nanoseconds since 1970 UTC, and every span includes its start but not its end.
`expected` counts the bars of a symbol that trades in every minute; an illiquid one has fewer.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache, partial
from operator import attrgetter

from lean_lite.market.sessions import (
    NEW_YORK,
    Session,
    crypto_sessions,
    equity_sessions,
    forex_sessions,
    instant,
    read_table,
)
from lean_lite.model.timestamps import DAY_NS, DAY_S, HOUR_S, SECOND_NS

__all__ = ["Calendar", "Session", "calendar_of"]

ALWAYS_NS = -(2**63), 2**63 - 1
YEARS_CACHED = 128  # more than the table of sessions has
WARN_AHEAD_NS = 30 * DAY_NS  # time to upgrade before half days are taken for full ones

_pre, _post, _label = attrgetter("pre_ns"), attrgetter("post_ns"), attrgetter("label_ns")

log = logging.getLogger(__name__)


class Calendar:
    """
    Calendar of one asset class.

    Closed and half days are known in [`since_ns`, `until_ns`); outside of it every weekday counts
    as a full session. `sessions_of` returns the sessions of a year, in order of time.
    """

    def __init__(
        self,
        sessions_of: Callable[[int], list[Session]],
        *,
        since_ns: int = ALWAYS_NS[0],
        until_ns: int = ALWAYS_NS[1],
    ) -> None:
        self._sessions_of = lru_cache(YEARS_CACHED)(sessions_of)
        self.since_ns = since_ns
        self.until_ns = until_ns
        ends = until_ns < ALWAYS_NS[1]
        self._warn_from_ns = until_ns - WARN_AHEAD_NS if ends else until_ns

    def sessions(self, start_ns: int, end_ns: int) -> list[Session]:
        """Return the sessions whose extended trading overlaps the span, in order of time."""
        if end_ns <= start_ns:
            return []
        near = self._near(start_ns, end_ns)
        first = bisect_right(near, start_ns, key=_post)
        return near[first : bisect_left(near, end_ns, lo=first, key=_pre)]

    def spans(self, start_ns: int, end_ns: int, *, extended: bool = True) -> list[tuple[int, int]]:
        """
        Return the parts of a span in which bars may start, in order of time.

        They neither overlap nor touch: sessions without a break between them are one part.
        """
        spans: list[tuple[int, int]] = []
        for _, pre_ns, open_ns, close_ns, post_ns, _ in self.sessions(start_ns, end_ns):
            first_ns = max(pre_ns if extended else open_ns, start_ns)
            last_ns = min(post_ns if extended else close_ns, end_ns)
            if spans and spans[-1][1] == first_ns:
                spans[-1] = spans[-1][0], last_ns
            elif first_ns < last_ns:
                spans.append((first_ns, last_ns))
        return spans

    def expected(self, start_ns: int, end_ns: int, resolution_s: int) -> int:
        """
        Return how many bars that overlap a regular session start in the span.

        Daily bars (86,400 s) count by their label, shorter ones by the clock: the first hour of an
        equity session starts at 9:00. ValueError for a resolution that does not divide an hour.
        """
        if resolution_s == DAY_S:
            return self._expected_days(start_ns, end_ns)
        if resolution_s < 1 or HOUR_S % resolution_s:
            message = (
                f"can't count expected bars of {resolution_s} s: "
                "use a resolution that divides an hour, or days (86400 s)"
            )
            raise ValueError(message)
        length_ns = resolution_s * SECOND_NS
        return sum(
            # The first bar may start before the session that it overlaps.
            _starts(
                max(open_ns // length_ns * length_ns, start_ns), min(close_ns, end_ns), length_ns
            )
            for _, _, open_ns, close_ns, _, _ in self.sessions(start_ns, end_ns)
        )

    def is_open(self, ns: int, *, extended: bool = False) -> bool:
        """Return whether there is trading at a time, regular or extended."""
        return bool(self.spans(ns, ns + 1, extended=extended))

    def _expected_days(self, start_ns: int, end_ns: int) -> int:
        if end_ns <= start_ns:
            return 0
        near = self._near(start_ns, end_ns)
        return bisect_left(near, end_ns, key=_label) - bisect_left(near, start_ns, key=_label)

    def _near(self, start_ns: int, end_ns: int) -> list[Session]:
        """Return all sessions of the years around the span; warn once if the table ends."""
        if end_ns > self._warn_from_ns:
            self._warn_from_ns = ALWAYS_NS[1]
            log.warning(
                "the table of sessions ends on %s; later weekdays count as full sessions: "
                "upgrade lean-lite or run `make sessions`",
                _utc(self.until_ns - DAY_NS).date(),
            )
        years = range(_utc(start_ns - DAY_NS).year, _utc(end_ns + DAY_NS).year + 1)
        return [session for year in years for session in self._sessions_of(year)]


@cache
def calendar_of(asset_class: str) -> Calendar:
    """Return the calendar of an asset class; ValueError unless equity, crypto or forex."""
    match asset_class:
        case "equity":
            table = read_table()
            return Calendar(
                partial(equity_sessions, table=table),
                since_ns=instant(table.first, time.min, NEW_YORK),
                until_ns=instant(table.last + timedelta(days=1), time.min, NEW_YORK),
            )
        case "crypto":
            return Calendar(crypto_sessions)
        case "forex":
            return Calendar(forex_sessions)
    message = f"invalid asset class {asset_class!r}: expected equity, crypto or forex"
    raise ValueError(message)


def _starts(first_ns: int, end_ns: int, length_ns: int) -> int:
    """Return how many bars aligned to the clock start in a span; 0 if it is empty."""
    return max(0, -(end_ns // -length_ns) + first_ns // -length_ns)


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND_NS, UTC)
