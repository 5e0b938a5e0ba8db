"""GradeLog: grades of the newest bars of one subscribed symbol."""

import math
import time
from collections.abc import Callable
from typing import Any

from lean_lite.data.bars import Bars
from lean_lite.data.reports.quality_report import BarGrade, build_report, grades_of
from lean_lite.model.timestamps import HOUR_NS, SECOND_NS
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar

BOUND = 10_080  # a week of minutes
# Removed together: late bars come in any order, so the oldest are found by sorting.
SPARE = 1_000


class GradeLog:
    """
    Grades of one symbol's newest bars; a later version of a bar replaces its grade.

    Grades of INVALID bars are held separately: history has no INVALID bar, and may have another bar
    of the same start. They are recorded from the creation of the log on.

    Args:
        symbol: the symbol.
        clock: current time in nanoseconds since 1970 (UTC).
    """

    def __init__(self, symbol: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._symbol = symbol
        self._clock = clock
        self._grades: dict[int, BarGrade] = {}
        self._invalid: dict[int, BarGrade] = {}
        self._invalid_since_ns = clock()
        self._gaps: tuple[Gap, ...] = ()
        self._since_ns = 0
        self._end_ns = 0
        self._simulated = False
        self._resolution_s = 60

    def seed(self, bars: Bars, since_ns: int = 0) -> None:
        """
        Add stored bars; grades of live records win.

        Args:
            bars: graded bars, with the gaps of the span.
            since_ns: start of the span, in nanoseconds since 1970 (UTC).
        """
        stored = {grade.start_ns: grade for grade in grades_of(bars.block)} if len(bars) else {}
        self._gaps = bars.gaps
        self._since_ns = since_ns
        if stored:
            self._simulated = bars.block.simulated
            self._end_ns = max(self._end_ns, max(stored) + self._resolution_s * SECOND_NS)
            if self._simulated:
                self._invalid_since_ns = self._end_ns
        self._grades = stored | self._grades
        self._trim()

    def add(self, record: LiveBar) -> None:
        """Add the grade of a live record."""
        grade = BarGrade(record.start_ns, record.level, record.reasons)
        if not record.is_valid:
            # Its time may be wrong as well, so it does not change the end of the report.
            self._invalid[grade.start_ns] = grade
            self._trim()
            return
        if record.simulated and not self._simulated:
            self._invalid_since_ns = record.start_ns
        self._grades[grade.start_ns] = grade
        self._simulated = record.simulated
        self._resolution_s = record.resolution_s
        self._end_ns = max(self._end_ns, record.start_ns + record.resolution_s * SECOND_NS)
        self._trim()

    def report(self, hours: float) -> dict[str, Any]:
        """
        Report the last hours until now; of a simulated market until its newest bar.

        Args:
            hours: length of the span; it starts no earlier than the oldest grade that is
                remembered.

        Returns:
            The report of `build_report`; `gaps` has what was not stored when the symbol was
            subscribed, and INVALID bars are counted since `invalid_since`.

        Raises:
            ValueError: `hours` is not above 0, or not finite.
        """
        if not 0 < hours < math.inf:
            message = f"invalid hours {hours!r}: expected a number above 0"
            raise ValueError(message)
        end_ns = self._end_ns if self._simulated else self._clock()
        since_ns = min(self._since_ns, *self._grades) if self._grades else self._since_ns
        span = (max(end_ns - round(hours * HOUR_NS), since_ns), end_ns)
        grades = [*self._grades.values(), *self._invalid.values()]
        gaps = [gap for gap in self._gaps if gap.start_ns < span[1] and span[0] < gap.end_ns]
        return build_report(
            self._symbol,
            span,
            grades,
            resolution_s=self._resolution_s,
            gaps=gaps,
            invalid_since_ns=self._invalid_since_ns,
        )

    def _trim(self) -> None:
        """Remove the oldest grades beyond the bound."""
        if len(self._grades) > BOUND + SPARE:
            starts = sorted(self._grades)
            for start_ns in starts[:-BOUND]:
                del self._grades[start_ns]
            self._since_ns = starts[-BOUND]
        if len(self._invalid) > BOUND + SPARE:
            for start_ns in sorted(self._invalid)[:-BOUND]:
                del self._invalid[start_ns]
