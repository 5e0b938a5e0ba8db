from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data.streams.deduplicator import Deduplicator
from lean_lite.protocol.bookmark import DeliveredBar
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, live_bar


def at(minute: int) -> int:
    return NINE_THIRTY_NS + minute * MINUTE_NS


def test_a_bar_is_new_once() -> None:
    known = Deduplicator(10)
    assert known.is_new(live_bar())
    assert not known.is_new(live_bar(close=100.0, seq=9))
    assert known.is_new(live_bar(symbol="AAPL"))
    assert known.is_new(live_bar(start_ns=at(1)))


def test_a_version_of_a_later_frame_is_a_revision() -> None:
    known = Deduplicator(10)
    known.is_new(live_bar(seq=7))
    assert not known.is_newer_version(live_bar(seq=7))
    assert not known.is_newer_version(live_bar(seq=6, close=100.0))
    assert known.is_newer_version(live_bar(seq=8))
    assert not known.is_newer_version(live_bar(seq=7, close=100.0))


def test_two_versions_may_come_in_one_frame() -> None:
    known = Deduplicator(10)
    known.is_new(live_bar(seq=7))
    assert known.is_newer_version(live_bar(seq=7, close=100.0))
    assert not known.is_newer_version(live_bar(seq=7, close=100.0))


def test_what_was_taken_before_a_restart_is_known_without_its_values() -> None:
    known = Deduplicator(10)
    assert known.is_new(DeliveredBar("SPY", at(0), 7))
    assert not known.is_new(live_bar(seq=7))
    assert not known.is_newer_version(live_bar(seq=7, close=100.0))
    assert known.is_newer_version(live_bar(seq=8))


def test_only_the_newest_bars_are_remembered_and_older_ones_count_as_known() -> None:
    known = Deduplicator(3)
    for minute in range(5):
        assert known.is_new(live_bar(start_ns=at(minute)))
    assert not known.is_new(live_bar(start_ns=at(0)))
    assert not known.is_new(live_bar(start_ns=at(4)))
    assert known.is_newer_version(live_bar(start_ns=at(0)))
    assert known.is_new(live_bar(start_ns=at(5)))


def test_a_hole_longer_than_what_is_remembered_is_filled_behind_a_live_bar() -> None:
    known = Deduplicator(5)
    for minute in range(10):
        known.is_new(live_bar(start_ns=at(minute)))
    assert known.is_new(live_bar(start_ns=at(100)))
    assert all(known.is_new(live_bar(start_ns=at(minute))) for minute in range(10, 100))


@given(st.lists(st.integers(0, 60)), st.integers(1, 8))
def test_what_is_dropped_unseen_is_older_than_all_that_can_be_remembered(
    minutes: list[int], bound: int
) -> None:
    known = Deduplicator(bound)
    had: set[int] = set()
    for minute in minutes:
        new = known.is_new(live_bar(start_ns=at(minute)))
        assert not (new and minute in had)
        if not new and minute not in had:
            assert sum(other > minute for other in had) >= bound
        had.add(minute)
