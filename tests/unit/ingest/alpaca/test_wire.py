import math
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import Timestamp

from lean_lite.blocks import Origin
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.quality import Check, Grader, failed_checks
from lean_lite_ingest.alpaca.wire import BAD_COUNT, NO_COUNT, ORIGINS, to_row
from lean_lite_ingest.clock import WallClock
from lean_lite_ingest.rows import Row, to_block

# What Alpaca's servers send for one bar (`reference/alpaca.md`, section 2).
GOLDEN = bytes.fromhex(
    "918aa154a162a153a44141504ca16fcb40664851eb851eb8a168cb40664ae147ae147ba16ccb40663851eb851eb8"
    "a163cb4066428f5c28f5c3a176cdee09a174d6ff6553f100a16ecd06bfa27677cb40663e892ab68cef"
)
START_NS = 1_700_000_000 * SECOND_NS
RECEIVED_NS = START_NS + 61 * SECOND_NS
INT64 = 2**63


def message(**changes: Any) -> dict[str, Any]:
    """Return the golden bar with some keys changed, or gone when they are Ellipsis."""
    (golden,) = msgpack.unpackb(GOLDEN)
    return {key: value for key, value in (golden | changes).items() if value is not ...}


def row(**changes: Any) -> Row:
    return to_row(message(**changes), Origin.LIVE, RECEIVED_NS)


def reasons_of(found: Row) -> list[Check]:
    block = to_block([found], "iex", WallClock(), simulated=False)
    return failed_checks(int(Grader("equity").grade(1, block).block["reasons"][0]))


def test_the_golden_bar_is_a_row() -> None:
    assert row() == Row(
        "AAPL",
        START_NS,
        178.26,
        178.34,
        177.76,
        178.08,
        60_937.0,
        177.954244,
        1_727,
        Origin.LIVE,
        RECEIVED_NS,
    )
    assert reasons_of(row()) == []


def test_the_type_of_a_message_tells_where_it_came_from() -> None:
    assert ORIGINS == {"b": Origin.LIVE, "u": Origin.UPDATED}
    assert message()["T"] in ORIGINS


@pytest.mark.parametrize("absent", [None, ...])
def test_a_bar_may_have_neither_vwap_nor_count(absent: Any) -> None:
    found = row(vw=absent, n=absent)
    assert math.isnan(found.vwap)
    assert found.trade_count == NO_COUNT
    block = to_block([found], "iex", WallClock(), simulated=False)
    assert (block.bar(0).vwap, block.bar(0).trade_count) == (None, None)
    assert reasons_of(found) == []


@pytest.mark.parametrize("count", [-1, -2, -1_000, -(2**63), math.nan])
def test_a_wrong_count_is_no_absent_one(count: float) -> None:
    assert row(n=count).trade_count == BAD_COUNT
    assert Check.B04_VOLUME in reasons_of(row(n=count))


def test_a_price_that_is_nil_is_seen_by_validate() -> None:
    assert reasons_of(row(c=None)) == [Check.B01_SCHEMA]


@given(st.integers(0, 2**33), st.integers(0, SECOND_NS - 1))
def test_nanoseconds_are_kept(seconds: int, ns: int) -> None:
    packed = msgpack.packb(message(t=Timestamp(seconds, ns)))
    unpacked = msgpack.unpackb(packed)
    assert to_row(unpacked, Origin.LIVE, 0).start_ns == seconds * SECOND_NS + ns


@pytest.mark.parametrize("stamp", ["2023-11-14T22:13:20Z", "2023-11-14T17:13:20-05:00"])
def test_rest_writes_its_times_as_text(stamp: str) -> None:
    found = to_row(message(t=stamp, S=...), Origin.BACKFILL, RECEIVED_NS, "BRK.B")
    assert (found.symbol, found.start_ns, found.origin) == ("BRK.B", START_NS, Origin.BACKFILL)


@pytest.mark.parametrize("key", ["S", "t", "o", "h", "l", "c", "v"])
def test_a_bar_that_lacks_a_key_is_none(key: str) -> None:
    with pytest.raises(KeyError):
        row(**{key: ...})


@pytest.mark.parametrize(
    "changes",
    [
        {"o": "much"},
        {"v": [1]},
        {"n": "many"},
        {"n": math.inf},
        {"n": INT64},
        {"t": 5},
        {"t": None},
        {"t": "yesterday"},
        {"t": "9999-12-31T00:00:00Z"},
        {"t": "0001-01-01T00:00:00Z"},
        {"t": Timestamp(2**40, 0)},
        {"t": Timestamp(-(2**40), 0)},
    ],
)
def test_a_bar_that_no_column_can_hold_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        row(**changes)


@pytest.mark.parametrize("count", [0, INT64 - 1])
def test_the_largest_numbers_fit_their_columns(count: int) -> None:
    block = to_block([row(n=count)], "iex", WallClock(), simulated=False)
    assert block["trade_count"].tolist() == [count]


def test_rows_are_a_block_in_their_order() -> None:
    rows = [row(S=symbol) for symbol in ("B", "A", "B")]
    block = to_block(rows, "iex", WallClock(), simulated=True)
    assert block.symbol_names == ["B", "A", "B"]
    assert (block.feed, block.simulated) == ("iex", True)
    assert block["received_ns"].tolist() == [RECEIVED_NS] * 3
    assert "wall_ns" not in block.columns


class Ahead(WallClock):
    """Be the clock of a feed that is an hour ahead."""

    def feed_ns(self, wall_ns: int) -> int:
        return wall_ns + 3_600 * SECOND_NS


def test_bars_arrive_in_the_time_of_their_feed() -> None:
    block = to_block([row()], "iex", Ahead(), simulated=True)
    assert block["received_ns"].tolist() == [RECEIVED_NS + 3_600 * SECOND_NS]


def test_the_golden_time_is_what_it_says() -> None:
    assert to_ns(datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)) == START_NS
