from itertools import pairwise

import apsw
from hypothesis import given
from hypothesis import strategies as st

from lean_lite_store.storage.coverage import (
    Coverage,
    Covered,
    merge_spans,
    read_coverage,
    subtract_spans,
    write_coverage,
)
from lean_lite_store.storage.database import MIGRATIONS
from lean_lite_store.storage.series import Series, Source

AAPL = Series(Source("iex", 60, simulated=False), "AAPL")
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def points(spans: object) -> set[int]:
    return {point for start, end in spans for point in range(start, end)}  # type: ignore[attr-defined]


@given(SPANS)
def test_merged_spans_cover_the_same_points_and_never_touch(spans: list[tuple[int, int]]) -> None:
    found = merge_spans(spans)
    assert points(found) == points(spans)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@given(SPANS, SPANS)
def test_subtracting_covered_spans_leaves_exactly_the_missing_points(
    requested: list[tuple[int, int]], covered: list[tuple[int, int]]
) -> None:
    found = list(subtract_spans(merge_spans(requested), merge_spans(covered)))
    assert points(found) == points(requested) - points(covered)
    assert all(start < end for start, end in found)


@given(SPANS)
def test_coverage_does_not_depend_on_the_order_of_its_spans(spans: list[tuple[int, int]]) -> None:
    at_once, one_by_one = Coverage({}), Coverage({})
    at_once.apply(at_once.plan(Covered(AAPL, *span) for span in spans))
    for span in reversed(spans):
        one_by_one.apply(one_by_one.plan([Covered(AAPL, *span)]))
    everything = [(0, 60)]
    assert at_once.missing(AAPL, everything) == one_by_one.missing(AAPL, everything)


def test_a_plan_changes_nothing_before_it_is_applied() -> None:
    coverage = Coverage({})
    coverage.plan([Covered(AAPL, 0, 10)])
    assert coverage.missing(AAPL, [(0, 10)]) == [(0, 10)]


def test_simulated_and_real_bars_have_separate_coverage() -> None:
    coverage = Coverage({AAPL: ((0, 10),)})
    simulated = AAPL._replace(source=AAPL.source._replace(simulated=True))
    assert coverage.missing(simulated, [(0, 10)]) == [(0, 10)]


def test_reading_returns_the_coverage_written_last() -> None:
    connection = apsw.Connection(":memory:")
    for statements in MIGRATIONS:
        connection.execute(statements)
    write_coverage(connection, {AAPL: ((0, 10), (20, 30))})
    write_coverage(connection, {AAPL: ((0, 30),)})
    assert read_coverage(connection) == {AAPL: ((0, 30),)}
