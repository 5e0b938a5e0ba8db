from collections.abc import Mapping

import pytest
from nats.aio.client import Client

from lean_lite.bus import Bus, Lease
from lean_lite.config import AlpacaConfig, BusConfig
from lean_lite.config.sections import Secret
from lean_lite.model.timestamps import SECOND_NS
from lean_lite.protocol.partitions import PARTITIONS, Lane, lane_of
from lean_lite_ingest.alpaca.rest import AlpacaHistory
from lean_lite_ingest.clock import WallClock
from lean_lite_ingest.gap_filler import GapFiller, GapRange, describe
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rate_limit import RateLimit

MINUTE_NS = 60 * SECOND_NS
DAY_S = 86_400.0
NOW = 1_000_000  # in minutes since 1970
LANES = [Lane("equity", partition) for partition in range(PARTITIONS)]


def minute(number: int) -> int:
    return number * MINUTE_NS


def hole(symbols: tuple[str, ...], start: int, end: int = NOW - 1) -> GapRange:
    return GapRange(symbols, minute(start), minute(end))


class Feed:
    """Hold the outboxes of a feed that is connected to nothing."""

    def __init__(self, span_s: float = DAY_S) -> None:
        bus = Bus(Client(), BusConfig())
        lease = Lease("ingest.alpaca", 1, 3.0, requested_at=0.0)
        self.outboxes = {
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
        config = AlpacaConfig(key_id=Secret("key"), secret_key=Secret("secret"))
        rest = AlpacaHistory(config, "equity", "iex", RateLimit(150), 30.0)
        self.refill = GapFiller(rest, "iex", self.outboxes, span_s)

    def complete(self, symbol: str, number: int) -> None:
        self.outboxes[lane_of(symbol)].complete_ns = minute(number)

    def holes(
        self, since: Mapping[str, int], now_ns: int = minute(NOW), lanes: list[Lane] = LANES
    ) -> tuple[list[GapRange], list[GapRange]]:
        since_ns = {symbol: minute(number) for symbol, number in since.items()}
        return self.refill.gaps(lanes, since_ns, now_ns)


# Three symbols of three lanes, in the order of their names.
A, B, C = "AAPL", "MSFT", "SPY"


def test_the_symbols_of_these_tests_have_lanes_of_their_own() -> None:
    assert len({lane_of(symbol) for symbol in (A, B, C)}) == 3


async def test_without_symbols_there_is_no_hole() -> None:
    assert Feed().holes({}) == ([], [])


async def test_a_new_symbol_lacks_the_minute_before_it_was_wanted() -> None:
    assert Feed().holes({A: NOW - 30}) == ([hole((A,), NOW - 31)], [])


async def test_a_symbol_wanted_within_a_minute_counts_from_its_begin() -> None:
    since_ns = {A: minute(NOW - 30) + 59 * SECOND_NS}
    assert Feed().refill.gaps(LANES, since_ns, minute(NOW))[0] == [hole((A,), NOW - 31)]


async def test_a_hole_ends_with_the_last_minute_that_is_over() -> None:
    for late_ns in (0, 59 * SECOND_NS):
        holes, _ = Feed().holes({A: NOW - 30}, minute(NOW) + late_ns)
        assert holes == [hole((A,), NOW - 31, NOW - 1)]


async def test_a_symbol_wanted_this_minute_lacks_its_last_one() -> None:
    assert Feed().holes({A: NOW})[0] == [hole((A,), NOW - 1)]
    assert Feed().holes({A: NOW + 1}) == ([], [])


async def test_a_lane_goes_on_a_margin_before_it_was_complete() -> None:
    feed = Feed()
    feed.complete(A, NOW - 5)
    assert feed.holes({A: NOW - 30})[0] == [hole((A,), NOW - 7)]


async def test_a_symbol_newer_than_its_lane_counts_from_its_own_begin() -> None:
    feed = Feed()
    feed.complete(A, NOW - 100)
    assert feed.holes({A: NOW - 30})[0] == [hole((A,), NOW - 31)]


async def test_other_lanes_are_left_out() -> None:
    lanes = [lane_of(B)]
    assert Feed().holes({A: NOW - 30, B: NOW - 30}, lanes=lanes)[0] == [hole((B,), NOW - 31)]


async def test_holes_that_begin_close_together_are_one() -> None:
    found, _ = Feed().holes({A: NOW - 20, B: NOW - 30, C: NOW - 25})
    assert found == [hole((B, C, A), NOW - 31)]


async def test_holes_that_begin_far_apart_are_several() -> None:
    found, _ = Feed().holes({A: NOW - 19, B: NOW - 30, C: NOW - 20})
    assert found == [hole((B, C), NOW - 31), hole((A,), NOW - 20)]


async def test_closeness_is_that_to_the_first_of_a_group() -> None:
    found, _ = Feed().holes({A: NOW - 30, B: NOW - 22, C: NOW - 14})
    assert [each.symbols for each in found] == [(A, B), (C,)]


async def test_a_hole_longer_than_the_span_is_cut_and_the_rest_is_lost() -> None:
    found, lost = Feed(span_s=600.0).holes({A: NOW - 100, B: NOW - 5})
    assert found == [hole((A, B), NOW - 11)]
    assert lost == [hole((A,), NOW - 101, NOW - 12)]


@pytest.mark.parametrize(("begin", "cut"), [(NOW - 11, 0), (NOW - 12, 1)])
async def test_exactly_the_span_is_not_cut(begin: int, cut: int) -> None:
    _, lost = Feed(span_s=600.0).holes({A: begin + 1})
    assert len(lost) == cut


async def test_what_is_cut_and_what_is_kept_do_not_overlap() -> None:
    (kept,), (lost,) = Feed(span_s=600.0).holes({A: NOW - 100})
    assert kept.start_ns - lost.end_ns == MINUTE_NS


def test_a_hole_can_be_told_in_a_line() -> None:
    found = GapRange((A, B), 1_795_703_400 * SECOND_NS, 1_795_707_000 * SECOND_NS)
    assert describe(found) == "2 symbols, 2026-11-26 14:30 to 15:30 UTC"
