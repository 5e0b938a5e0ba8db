"""
Which times of which series are whole: whatever bars there are in them, the store has them.

Whoever publishes bars says with them what is whole now; that is kept in the transaction which
stores these bars. A time that is not covered may still hold bars.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import apsw

from lean_lite_store.storage.series import Series, Source

Spans = tuple[tuple[int, int], ...]


class Covered(NamedTuple):
    """Name a time of a series, `start_ns <= start < end_ns`, that is whole."""

    series: Series
    start_ns: int
    end_ns: int


class Coverage:
    """Hold the covered spans of every series, disjoint and in order; `plan` only reads."""

    def __init__(self, spans: Mapping[Series, Spans]) -> None:
        """Start with what a file says."""
        self._spans = dict(spans)

    def missing(self, series: Series, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the parts of spans, given in order, that are not covered."""
        return list(subtracted(spans, self._spans.get(series, ())))

    def plan(self, covered: Iterable[Covered]) -> dict[Series, Spans]:
        """Return how the spans of the series will be."""
        changed: dict[Series, Spans] = {}
        for series, start_ns, end_ns in covered:
            spans = changed.get(series, self._spans.get(series, ()))
            changed[series] = joined([*spans, (start_ns, end_ns)])
        return changed

    def apply(self, changed: Mapping[Series, Spans]) -> None:
        """Show what has been committed."""
        self._spans.update(changed)


def joined(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return spans as the fewest that cover the same, in order."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def subtracted(
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
    """Return the covered spans of a file."""
    found: dict[Series, list[tuple[int, int]]] = {}
    rows = connection.execute(
        "SELECT feed, res_s, simulated, symbol, start_ns, end_ns FROM coverage"
    )
    for feed, res_s, simulated, symbol, start_ns, end_ns in rows:
        series = Series(Source(feed, res_s, bool(simulated)), symbol)
        found.setdefault(series, []).append((start_ns, end_ns))
    return {series: joined(spans) for series, spans in found.items()}


def write_coverage(connection: apsw.Connection, changed: Mapping[Series, Spans]) -> None:
    """Replace the spans of some series, inside of a transaction."""
    for (source, symbol), spans in changed.items():
        connection.execute(
            "DELETE FROM coverage WHERE feed = ? AND res_s = ? AND simulated = ? AND symbol = ?",
            (*source, symbol),
        )
        connection.executemany(
            "INSERT INTO coverage VALUES(?, ?, ?, ?, ?, ?)",
            [(*source, symbol, start_ns, end_ns) for start_ns, end_ns in spans],
        )
