"""What grading said of the bars of the subscribed symbols lately."""

import math
import time
from collections.abc import Callable
from typing import Any

from lean_lite.data.bars import Bars
from lean_lite.data.reports.quality_report import BarGrade, build_report, grades_of
from lean_lite.model.timestamps import HOUR_NS, SECOND_NS
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar

KEPT = 10_080  # a week of minutes
SPARE = 1_000


class GradeLog:
    """
    Remember the grades of one symbol's newest bars; a bar's later version replaces its mark.

    INVALID ones are marked apart, because history keeps what it has of their start. They are those
    that were heard: the store does not tell of others.
    """

    def __init__(self, symbol: str, clock: Callable[[], int] = time.time_ns) -> None:
        """Start with nothing."""
        self._symbol = symbol
        self._clock = clock
        self._marks: dict[int, BarGrade] = {}
        self._invalid: dict[int, BarGrade] = {}
        self._heard_ns = clock()
        self._gaps: tuple[Gap, ...] = ()
        self._since_ns = 0
        self._end_ns = 0
        self._simulated = False
        self._resolution_s = 60

    def seed(self, bars: Bars, since_ns: int = 0) -> None:
        """Take what is known of the past since an instant, where nothing newer is known."""
        older = {mark.start_ns: mark for mark in grades_of(bars.block)} if len(bars) else {}
        self._gaps = bars.gaps
        self._since_ns = since_ns
        if older:
            self._simulated = bars.block.simulated
            self._end_ns = max(self._end_ns, max(older) + self._resolution_s * SECOND_NS)
            if self._simulated:
                self._heard_ns = self._end_ns
        self._marks = older | self._marks
        self._bound()

    def add(self, record: LiveBar) -> None:
        """Take a live record."""
        mark = BarGrade(record.start_ns, record.level, record.reasons)
        if not record.is_valid:
            # Its time may be wrong as well, so that it moves nothing.
            self._invalid[mark.start_ns] = mark
            self._bound()
            return
        if record.simulated and not self._simulated:
            self._heard_ns = record.start_ns
        self._marks[mark.start_ns] = mark
        self._simulated = record.simulated
        self._resolution_s = record.resolution_s
        self._end_ns = max(self._end_ns, record.start_ns + record.resolution_s * SECOND_NS)
        self._bound()

    def report(self, hours: float) -> dict[str, Any]:
        """
        Return `report_of` the last hours, which end now; ValueError without any.

        A simulated market has its own time: there they end with the newest bar. They begin no
        earlier than what is remembered; `gaps` is what was not stored when the symbol was
        subscribed. INVALID bars are counted since `invalid_since`, when that was.
        """
        if not 0 < hours < math.inf:
            message = f"no report of the last {hours!r} hours: give a number above 0"
            raise ValueError(message)
        end_ns = self._end_ns if self._simulated else self._clock()
        since_ns = min(self._since_ns, *self._marks) if self._marks else self._since_ns
        span = (max(end_ns - round(hours * HOUR_NS), since_ns), end_ns)
        marks = [*self._marks.values(), *self._invalid.values()]
        gaps = [gap for gap in self._gaps if gap.start_ns < span[1] and span[0] < gap.end_ns]
        return build_report(
            self._symbol,
            span,
            marks,
            resolution_s=self._resolution_s,
            gaps=gaps,
            invalid_since_ns=self._heard_ns,
        )

    def _bound(self) -> None:
        """Forget the oldest, several at once: late bars come in any order."""
        if len(self._marks) > KEPT + SPARE:
            starts = sorted(self._marks)
            for start_ns in starts[:-KEPT]:
                del self._marks[start_ns]
            self._since_ns = starts[-KEPT]
        if len(self._invalid) > KEPT + SPARE:
            for start_ns in sorted(self._invalid)[:-KEPT]:
                del self._invalid[start_ns]
