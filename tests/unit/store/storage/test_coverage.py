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
def test_joined_spans_cover_the_same_and_never_touch(spans: list[tuple[int, int]]) -> None:
    found = merge_spans(spans)
    assert points(found) == points(spans)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@given(SPANS, SPANS)
def test_what_is_subtracted_is_exactly_what_is_not_covered(
    asked: list[tuple[int, int]], covered: list[tuple[int, int]]
) -> None:
    found = list(subtract_spans(merge_spans(asked), merge_spans(covered)))
    assert points(found) == points(asked) - points(covered)
    assert all(start < end for start, end in found)


@given(SPANS)
def test_coverage_grows_by_what_is_told_in_whatever_order(spans: list[tuple[int, int]]) -> None:
    at_once, bit_by_bit = Coverage({}), Coverage({})
    at_once.apply(at_once.plan(Covered(AAPL, *span) for span in spans))
    for span in reversed(spans):
        bit_by_bit.apply(bit_by_bit.plan([Covered(AAPL, *span)]))
    everything = [(0, 60)]
    assert at_once.missing(AAPL, everything) == bit_by_bit.missing(AAPL, everything)


def test_a_plan_changes_nothing_before_it_is_applied() -> None:
    coverage = Coverage({})
    coverage.plan([Covered(AAPL, 0, 10)])
    assert coverage.missing(AAPL, [(0, 10)]) == [(0, 10)]


def test_simulated_and_real_bars_are_covered_apart() -> None:
    coverage = Coverage({AAPL: ((0, 10),)})
    simulated = AAPL._replace(source=AAPL.source._replace(simulated=True))
    assert coverage.missing(simulated, [(0, 10)]) == [(0, 10)]


def test_a_file_gives_back_what_was_written_last() -> None:
    connection = apsw.Connection(":memory:")
    for statements in MIGRATIONS:
        connection.execute(statements)
    write_coverage(connection, {AAPL: ((0, 10), (20, 30))})
    write_coverage(connection, {AAPL: ((0, 30),)})
    assert read_coverage(connection) == {AAPL: ((0, 30),)}
