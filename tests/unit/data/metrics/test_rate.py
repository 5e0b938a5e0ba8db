from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.data.metrics.rate import MAX_WINDOW_S, RateCounter


def test_the_rate_without_events_is_zero() -> None:
    assert RateCounter().per_second(5.0, 10) == 0


def test_only_finished_seconds_of_the_window_count() -> None:
    rate = RateCounter()
    for now_s, count in ((100.0, 5), (100.9, 5), (101.0, 20), (103.5, 40)):
        rate.add(now_s, count)
    assert rate.per_second(103.9, 1) == 0
    assert rate.per_second(104.0, 1) == 40
    assert rate.per_second(105.0, 1) == 0
    assert rate.per_second(103.9, 2) == 20 / 2
    assert rate.per_second(103.9, 3) == 30 / 3
    assert rate.per_second(104.9, 4) == 70 / 4
    assert rate.per_second(163.9, 60) == 40 / 60
    assert rate.per_second(164.0, 60) == 0


@settings(deadline=None)
@given(
    started_s=st.floats(0, 1e6),
    per_second=st.sampled_from([1, 4, 100]),
    age_s=st.integers(1, 80),
    phase_s=st.floats(0.001, 0.999),
    window_s=st.sampled_from([1, 10, MAX_WINDOW_S]),
)
def test_a_steady_rate_is_exact_at_any_phase_and_age(
    started_s: float, per_second: int, age_s: int, phase_s: float, window_s: int
) -> None:
    rate = RateCounter(started_s)
    now_s = age_s + phase_s
    for number in range(int(now_s * per_second)):
        rate.add(started_s + (number + 0.5) / per_second, 1)
    assert rate.per_second(started_s + now_s, window_s) == per_second


@given(
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0, 7.0, 90.0]), st.integers(0, 9))),
    later=st.integers(0, 70),
    window_s=st.sampled_from([1, 10, MAX_WINDOW_S]),
)
def test_a_rate_is_the_count_in_the_window_over_its_length_or_the_age(
    steps: list[tuple[float, int]], later: int, window_s: int
) -> None:
    rate, now_s = RateCounter(1_000.0), 1_000.25
    added = []
    for step_s, count in steps:
        now_s += step_s
        rate.add(now_s, count)
        added.append((int(now_s), count))
    end = int(now_s) + later
    within = sum(count for second, count in added if end - window_s <= second < end)
    assert rate.per_second(now_s + later, window_s) == within / max(min(window_s, end - 1_000), 1)


def test_at_most_one_window_of_seconds_is_stored() -> None:
    rate = RateCounter()
    for second in range(1_000):
        rate.add(second)
    assert len(rate._seconds) == MAX_WINDOW_S + 1
    assert rate.per_second(1_000, MAX_WINDOW_S) == 1.0
