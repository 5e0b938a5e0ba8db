from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data.streams.deduplicator import Deduplicator
from lean_lite.protocol.bookmark import DeliveredBar
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar


def at(minute: int) -> int:
    return NINE_THIRTY_NS + minute * MINUTE_NS


def test_a_bar_is_new_once() -> None:
    deduplicator = Deduplicator(10)
    assert deduplicator.is_new(live_bar())
    assert not deduplicator.is_new(live_bar(close=100.0, seq=9))
    assert deduplicator.is_new(live_bar(symbol="AAPL"))
    assert deduplicator.is_new(live_bar(start_ns=at(1)))


def test_a_version_of_a_later_frame_is_newer() -> None:
    deduplicator = Deduplicator(10)
    deduplicator.is_new(live_bar(seq=7))
    assert not deduplicator.is_newer_version(live_bar(seq=7))
    assert not deduplicator.is_newer_version(live_bar(seq=6, close=100.0))
    assert deduplicator.is_newer_version(live_bar(seq=8))
    assert not deduplicator.is_newer_version(live_bar(seq=7, close=100.0))


def test_one_frame_may_have_two_versions() -> None:
    deduplicator = Deduplicator(10)
    deduplicator.is_new(live_bar(seq=7))
    assert deduplicator.is_newer_version(live_bar(seq=7, close=100.0))
    assert not deduplicator.is_newer_version(live_bar(seq=7, close=100.0))


def test_a_bar_delivered_before_a_restart_has_a_version_without_values() -> None:
    deduplicator = Deduplicator(10)
    assert deduplicator.is_new(DeliveredBar("SPY", at(0), 7))
    assert not deduplicator.is_new(live_bar(seq=7))
    assert not deduplicator.is_newer_version(live_bar(seq=7, close=100.0))
    assert deduplicator.is_newer_version(live_bar(seq=8))


def test_only_the_newest_bars_are_remembered_and_older_ones_count_as_delivered() -> None:
    deduplicator = Deduplicator(3)
    for minute in range(5):
        assert deduplicator.is_new(live_bar(start_ns=at(minute)))
    assert not deduplicator.is_new(live_bar(start_ns=at(0)))
    assert not deduplicator.is_new(live_bar(start_ns=at(4)))
    assert deduplicator.is_newer_version(live_bar(start_ns=at(0)))
    assert deduplicator.is_new(live_bar(start_ns=at(5)))


def test_a_gap_longer_than_the_bound_is_filled_after_a_live_bar() -> None:
    deduplicator = Deduplicator(5)
    for minute in range(10):
        deduplicator.is_new(live_bar(start_ns=at(minute)))
    assert deduplicator.is_new(live_bar(start_ns=at(100)))
    assert all(deduplicator.is_new(live_bar(start_ns=at(minute))) for minute in range(10, 100))


@given(st.lists(st.integers(0, 60)), st.integers(1, 8))
def test_an_unseen_bar_is_dropped_only_if_it_is_older_than_all_remembered(
    minutes: list[int], bound: int
) -> None:
    deduplicator = Deduplicator(bound)
    seen: set[int] = set()
    for minute in minutes:
        new = deduplicator.is_new(live_bar(start_ns=at(minute)))
        assert not (new and minute in seen)
        if not new and minute not in seen:
            assert sum(other > minute for other in seen) >= bound
        seen.add(minute)
