from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data.rate import KEPT_S, Rate


def test_nothing_has_no_rate() -> None:
    assert Rate().per_second(5.0, 10) == 0


def test_the_current_second_is_included_and_the_window_has_so_many() -> None:
    rate = Rate()
    for now_s, count in ((100.0, 5), (100.9, 5), (101.0, 20), (103.5, 40)):
        rate.add(now_s, count)
    assert rate.per_second(103.9, 1) == 40
    assert rate.per_second(104.0, 1) == 0
    assert rate.per_second(103.9, 3) == 60 / 3
    assert rate.per_second(103.9, 4) == 70 / 4
    assert rate.per_second(163.9, 60) == 0
    assert rate.per_second(162.9, 60) == 40 / 60


@given(
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0, 7.0, 90.0]), st.integers(0, 9))),
    later=st.integers(0, 70),
    window_s=st.sampled_from([1, 10, KEPT_S]),
)
def test_a_rate_is_all_that_was_counted_in_the_window_over_its_length(
    steps: list[tuple[float, int]], later: int, window_s: int
) -> None:
    rate, now_s = Rate(), 1_000.25
    added = []
    for step_s, count in steps:
        now_s += step_s
        rate.add(now_s, count)
        added.append((int(now_s), count))
    end = int(now_s) + later
    within = sum(count for second, count in added if end - window_s < second <= end)
    assert rate.per_second(now_s + later, window_s) == within / window_s


def test_no_more_seconds_are_kept_than_a_window_has() -> None:
    rate = Rate()
    for second in range(1_000):
        rate.add(second)
    assert len(rate._seconds) == KEPT_S + 1
    assert rate.per_second(999, KEPT_S) == 1.0
