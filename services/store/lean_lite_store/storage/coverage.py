"""
Coverage: the spans of each series that are complete in the store.

A publisher declares with a frame which span is complete with it; the span is stored in the
transaction of the frame's bars. A span that is not covered may still hold bars.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import apsw

from lean_lite_store.storage.series import Series, Source

Spans = tuple[tuple[int, int], ...]


class Covered(NamedTuple):
    """Span of a series, `start_ns <= start < end_ns`, that is complete."""

    series: Series
    start_ns: int
    end_ns: int


class Coverage:
    """The covered spans of every series, disjoint and in order; `plan` only reads."""

    def __init__(self, spans: Mapping[Series, Spans]) -> None:
        self._spans = dict(spans)

    def missing(self, series: Series, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the parts of spans, given in order, that are not covered."""
        return list(subtract_spans(spans, self._spans.get(series, ())))

    def plan(self, covered: Iterable[Covered]) -> dict[Series, Spans]:
        """Return the spans of the series once these are covered too."""
        changed: dict[Series, Spans] = {}
        for series, start_ns, end_ns in covered:
            spans = changed.get(series, self._spans.get(series, ()))
            changed[series] = merge_spans([*spans, (start_ns, end_ns)])
        return changed

    def apply(self, changed: Mapping[Series, Spans]) -> None:
        """Make committed spans visible."""
        self._spans.update(changed)


def merge_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """Merge spans that touch or overlap; the result is in order."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def subtract_spans(
    spans: Iterable[tuple[int, int]], covered: Iterable[tuple[int, int]]
) -> Iterable[tuple[int, int]]:
    """Yield the parts of spans that are not covered; both are in order and disjoint."""
    known = list(covered)
    at = 0
    for start, end in spans:
        while at < len(known) and known[at][1] <= start:
            at += 1
        rest = start
        for begin, until in known[at:]:
            if begin >= end:
                break
            if rest < begin:
                yield rest, begin
            rest = max(rest, until)
        if rest < end:
            yield rest, end


def read_coverage(connection: apsw.Connection) -> dict[Series, Spans]:
    """Read the covered spans of a file."""
    found: dict[Series, list[tuple[int, int]]] = {}
    rows = connection.execute(
        "SELECT feed, res_s, simulated, symbol, start_ns, end_ns FROM coverage"
    )
    for feed, res_s, simulated, symbol, start_ns, end_ns in rows:
        series = Series(Source(feed, res_s, bool(simulated)), symbol)
        found.setdefault(series, []).append((start_ns, end_ns))
    return {series: merge_spans(spans) for series, spans in found.items()}


def write_coverage(connection: apsw.Connection, changed: Mapping[Series, Spans]) -> None:
    """Replace the spans of some series, inside a transaction."""
    for (source, symbol), spans in changed.items():
        connection.execute(
            "DELETE FROM coverage WHERE feed = ? AND res_s = ? AND simulated = ? AND symbol = ?",
            (*source, symbol),
        )
        connection.executemany(
            "INSERT INTO coverage VALUES(?, ?, ?, ?, ?, ?)",
            [(*source, symbol, start_ns, end_ns) for start_ns, end_ns in spans],
        )
