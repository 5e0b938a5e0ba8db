"""What grading said of the bars of the subscribed symbols lately."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from lean_lite.algorithm.data_models import NS_PER_S
from lean_lite.data.quality_report import Mark, report_of
from lean_lite.messages import LiveBar

KEPT = 10_080  # a week of minutes
HOUR_NS = 3_600 * NS_PER_S


class QualityLog:
    """Remember the grades of one symbol's newest bars; a bar's later version replaces its mark."""

    def __init__(self, symbol: str) -> None:
        """Start with nothing."""
        self._symbol = symbol
        self._marks: OrderedDict[int, Mark] = OrderedDict()
        self._end_ns = 0
        self._simulated = False
        self._resolution_s = 60

    def seed(self, marks: Iterable[Mark], *, simulated: bool = False) -> None:
        """Take what is known of the past, where nothing newer is known."""
        older = {mark.start_ns: mark for mark in marks}
        self._simulated = simulated
        if older:
            self._end_ns = max(self._end_ns, max(older) + self._resolution_s * NS_PER_S)
        self._marks = OrderedDict(sorted((older | self._marks).items()))
        self._bound()

    def note(self, record: LiveBar) -> None:
        """Take a live record."""
        mark = Mark(record.start_ns, record.level, record.reasons)
        self._marks[record.start_ns] = mark
        self._simulated = record.simulated
        self._resolution_s = record.resolution_s
        self._end_ns = max(self._end_ns, record.start_ns + record.resolution_s * NS_PER_S)
        self._bound()

    @property
    def newest_ns(self) -> int:
        """Return the start of the newest bar; 0 of none."""
        return max(self._end_ns - self._resolution_s * NS_PER_S, 0)

    def report(self, hours: float) -> dict[str, Any]:
        """
        Return `report_of` the last hours, which end now.

        A simulated market has its own time: there they end with the newest bar.
        """
        end_ns = self._end_ns if self._simulated else time.time_ns()
        span = (end_ns - round(hours * HOUR_NS), end_ns)
        marks = self._marks.values()
        return report_of(self._symbol, span, marks, resolution_s=self._resolution_s)

    def _bound(self) -> None:
        while len(self._marks) > KEPT:
            self._marks.popitem(last=False)
