from collections.abc import Mapping

import pytest
from nats.aio.client import Client

from lean_lite.bus import Bus, Lease
from lean_lite.config import BusConfig
from lean_lite.model.timestamps import MINUTE_NS, SECOND_NS
from lean_lite.protocol.partitions import PARTITIONS, Lane, lane_of
from lean_lite_ingest.clock import WallClock
from lean_lite_ingest.gap_finder import GapFinder, GapRange
from lean_lite_ingest.lane_publisher import IngestLanePublisher

DAY_S = 86_400.0
NOW = 1_000_000  # in minutes since 1970
LANES = [Lane("equity", partition) for partition in range(PARTITIONS)]


def minute(number: int) -> int:
    return number * MINUTE_NS


def gap(symbols: tuple[str, ...], start: int, end: int = NOW - 1) -> GapRange:
    return GapRange(symbols, minute(start), minute(end))


class Feed:
    """A finder, and the publishers of a feed that is not connected."""

    def __init__(self, span_s: float = DAY_S) -> None:
        bus = Bus(Client(), BusConfig())
        lease = Lease("ingest.alpaca", 1, 3.0, requested_at=0.0)
        self.publishers = {
            lane: IngestLanePublisher(
                bus,
                "iex",
                lane,
                lease,
                WallClock(),
                bound=8,
                simulated=False,
                on_gap=lambda lane: None,
            )
            for lane in LANES
        }
        self.finder = GapFinder(self.publishers, span_s)

    def set_complete(self, symbol: str, number: int) -> None:
        self.publishers[lane_of(symbol)].complete_ns = minute(number)

    def gaps(
        self, since: Mapping[str, int], now_ns: int = minute(NOW), lanes: list[Lane] = LANES
    ) -> tuple[list[GapRange], list[GapRange]]:
        since_ns = {symbol: minute(number) for symbol, number in since.items()}
        return self.finder.lane_gaps(lanes, since_ns, now_ns)


# Three symbols of three lanes, in the order of their names.
A, B, C = "AAPL", "MSFT", "SPY"


def test_the_symbols_of_these_tests_have_different_lanes() -> None:
    assert len({lane_of(symbol) for symbol in (A, B, C)}) == 3


async def test_without_symbols_there_is_no_gap() -> None:
    assert Feed().gaps({}) == ([], [])


async def test_the_gap_of_a_new_symbol_starts_a_minute_before_its_interest() -> None:
    assert Feed().gaps({A: NOW - 30}) == ([gap((A,), NOW - 31)], [])


async def test_interest_within_a_minute_counts_from_the_start_of_that_minute() -> None:
    since_ns = {A: minute(NOW - 30) + 59 * SECOND_NS}
    found, _ = Feed().finder.lane_gaps(LANES, since_ns, minute(NOW))
    assert found == [gap((A,), NOW - 31)]


async def test_a_gap_ends_with_the_last_minute_that_has_ended() -> None:
    for late_ns in (0, 59 * SECOND_NS):
        found, _ = Feed().gaps({A: NOW - 30}, minute(NOW) + late_ns)
        assert found == [gap((A,), NOW - 31, NOW - 1)]


async def test_interest_since_the_current_minute_has_a_gap_of_the_previous_minute() -> None:
    assert Feed().gaps({A: NOW})[0] == [gap((A,), NOW - 1)]
    assert Feed().gaps({A: NOW + 1}) == ([], [])


async def test_a_gap_starts_a_margin_before_the_lane_was_complete() -> None:
    feed = Feed()
    feed.set_complete(A, NOW - 5)
    assert feed.gaps({A: NOW - 30})[0] == [gap((A,), NOW - 7)]


async def test_a_symbol_newer_than_its_lane_counts_from_its_own_interest() -> None:
    feed = Feed()
    feed.set_complete(A, NOW - 100)
    assert feed.gaps({A: NOW - 30})[0] == [gap((A,), NOW - 31)]


async def test_other_lanes_are_left_out() -> None:
    lanes = [lane_of(B)]
    assert Feed().gaps({A: NOW - 30, B: NOW - 30}, lanes=lanes)[0] == [gap((B,), NOW - 31)]


async def test_gaps_that_start_close_together_are_merged() -> None:
    found, _ = Feed().gaps({A: NOW - 20, B: NOW - 30, C: NOW - 25})
    assert found == [gap((B, C, A), NOW - 31)]


async def test_gaps_that_start_far_apart_are_not_merged() -> None:
    found, _ = Feed().gaps({A: NOW - 19, B: NOW - 30, C: NOW - 20})
    assert found == [gap((B, C), NOW - 31), gap((A,), NOW - 20)]


async def test_merged_gaps_start_close_to_the_first_of_their_group() -> None:
    found, _ = Feed().gaps({A: NOW - 30, B: NOW - 22, C: NOW - 14})
    assert [each.symbols for each in found] == [(A, B), (C,)]


async def test_a_gap_longer_than_the_span_is_cut_and_the_rest_is_lost() -> None:
    found, lost = Feed(span_s=600.0).gaps({A: NOW - 100, B: NOW - 5})
    assert found == [gap((A, B), NOW - 11)]
    assert lost == [gap((A,), NOW - 101, NOW - 12)]


@pytest.mark.parametrize(("start", "cut"), [(NOW - 11, 0), (NOW - 12, 1)])
async def test_a_gap_of_exactly_the_span_is_not_cut(start: int, cut: int) -> None:
    _, lost = Feed(span_s=600.0).gaps({A: start + 1})
    assert len(lost) == cut


async def test_the_parts_of_a_cut_gap_do_not_overlap() -> None:
    (found,), (lost,) = Feed(span_s=600.0).gaps({A: NOW - 100})
    assert found.start_ns - lost.end_ns == MINUTE_NS


async def test_start_gaps_reach_from_the_minute_before_the_interest_to_now() -> None:
    since_ns = {A: minute(NOW - 1) + 30 * SECOND_NS, B: minute(NOW + 1)}
    finder = Feed().finder
    assert finder.start_gaps([A], since_ns, minute(NOW)) == [gap((A,), NOW - 2)]
    assert finder.start_gaps([B, C], since_ns, minute(NOW)) == []


def test_a_gap_prints_as_symbols_and_span() -> None:
    found = GapRange((A, B), 1_795_703_400 * SECOND_NS, 1_795_707_000 * SECOND_NS)
    assert str(found) == "2 symbols, 2026-11-26 14:30 to 15:30 UTC"
