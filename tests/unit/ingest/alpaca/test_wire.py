import math
from collections.abc import Sequence
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
from lean_lite_ingest.alpaca.wire import (
    ADVICE,
    BAD_COUNT,
    NO_COUNT,
    ORIGINS,
    MessageDecoder,
    explain,
    to_row,
)
from lean_lite_ingest.clock import WallClock
from lean_lite_ingest.rows import Row, to_block
from lean_lite_ingest.source import StreamHooks

# What Alpaca's servers send for one bar (`reference/alpaca.md`, section 2).
GOLDEN = bytes.fromhex(
    "918aa154a162a153a44141504ca16fcb40664851eb851eb8a168cb40664ae147ae147ba16ccb40663851eb851eb8"
    "a163cb4066428f5c28f5c3a176cdee09a174d6ff6553f100a16ecd06bfa27677cb40663e892ab68cef"
)
START_NS = 1_700_000_000 * SECOND_NS
RECEIVED_NS = START_NS + 61 * SECOND_NS
INT64 = 2**63


def message(**changes: Any) -> dict[str, Any]:
    """Return the golden bar with some keys changed; those with Ellipsis are removed."""
    (golden,) = msgpack.unpackb(GOLDEN)
    return {key: value for key, value in (golden | changes).items() if value is not ...}


def row(**changes: Any) -> Row:
    return to_row(message(**changes), Origin.LIVE, RECEIVED_NS)


def failed(found: Row) -> list[Check]:
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
    assert failed(row()) == []


def test_the_type_of_a_message_determines_the_origin() -> None:
    assert ORIGINS == {"b": Origin.LIVE, "u": Origin.UPDATED}
    assert message()["T"] in ORIGINS


@pytest.mark.parametrize("absent", [None, ...])
def test_a_bar_may_have_neither_vwap_nor_count(absent: Any) -> None:
    found = row(vw=absent, n=absent)
    assert math.isnan(found.vwap)
    assert found.trade_count == NO_COUNT
    block = to_block([found], "iex", WallClock(), simulated=False)
    assert (block.bar(0).vwap, block.bar(0).trade_count) == (None, None)
    assert failed(found) == []


@pytest.mark.parametrize("count", [-1, -2, -1_000, -(2**63), math.nan])
def test_a_wrong_count_differs_from_an_absent_one(count: float) -> None:
    assert row(n=count).trade_count == BAD_COUNT
    assert Check.B04_VOLUME in failed(row(n=count))


def test_a_price_of_null_fails_the_schema_check() -> None:
    assert failed(row(c=None)) == [Check.B01_SCHEMA]


@given(st.integers(0, 2**33), st.integers(0, SECOND_NS - 1))
def test_a_start_has_nanosecond_precision(seconds: int, ns: int) -> None:
    packed = msgpack.packb(message(t=Timestamp(seconds, ns)))
    unpacked = msgpack.unpackb(packed)
    assert to_row(unpacked, Origin.LIVE, 0).start_ns == seconds * SECOND_NS + ns


@pytest.mark.parametrize("stamp", ["2023-11-14T22:13:20Z", "2023-11-14T17:13:20-05:00"])
def test_timestamps_of_rest_are_text(stamp: str) -> None:
    found = to_row(message(t=stamp, S=...), Origin.BACKFILL, RECEIVED_NS, "BRK.B")
    assert (found.symbol, found.start_ns, found.origin) == ("BRK.B", START_NS, Origin.BACKFILL)


@pytest.mark.parametrize("key", ["S", "t", "o", "h", "l", "c", "v"])
def test_a_bar_without_a_key_is_invalid(key: str) -> None:
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
def test_a_bar_that_does_not_fit_a_column_is_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        row(**changes)


@pytest.mark.parametrize("count", [0, INT64 - 1])
def test_the_largest_counts_fit_their_column(count: int) -> None:
    block = to_block([row(n=count)], "iex", WallClock(), simulated=False)
    assert block["trade_count"].tolist() == [count]


def test_a_block_has_the_order_of_its_rows() -> None:
    rows = [row(S=symbol) for symbol in ("B", "A", "B")]
    block = to_block(rows, "iex", WallClock(), simulated=True)
    assert block.symbol_names == ["B", "A", "B"]
    assert (block.feed, block.simulated) == ("iex", True)
    assert block["received_ns"].tolist() == [RECEIVED_NS] * 3
    assert "wall_ns" not in block.columns


class ClockAhead(WallClock):
    """Clock of a feed that is an hour ahead."""

    def feed_ns(self, wall_ns: int) -> int:
        return wall_ns + 3_600 * SECOND_NS


def test_the_time_of_receipt_is_on_the_clock_of_the_feed() -> None:
    block = to_block([row()], "iex", ClockAhead(), simulated=True)
    assert block["received_ns"].tolist() == [RECEIVED_NS + 3_600 * SECOND_NS]


def test_the_golden_timestamp_is_the_documented_one() -> None:
    assert to_ns(datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)) == START_NS


class Received(StreamHooks):
    """Record of the callbacks of a decoder."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        self.calls.append(("rows", [row.symbol for row in rows], wall_ns))

    def on_unreadable(self, error: Exception) -> None:
        self.calls.append(("unreadable", type(error)))

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        self.calls.append(("subscribed", symbols))

    def on_error(self, reason: str) -> None:
        self.calls.append(("error", reason))

    def on_disconnected(self) -> None:
        self.calls.append(("disconnected",))


def test_an_undecodable_bar_does_not_stop_the_others_of_its_frame() -> None:
    received = Received()
    frame = [message(S="A"), message(t=None), message(T="zz"), message(S="B", T="u")]
    MessageDecoder(received).on_batch(frame, RECEIVED_NS)
    assert received.calls == [("unreadable", TypeError), ("rows", ["A", "B"], RECEIVED_NS)]


def test_control_messages_become_callbacks() -> None:
    received = Received()
    decoder = MessageDecoder(received)
    decoder.on_control({"T": "success", "msg": "authenticated"})
    decoder.on_control({"T": "subscription", "bars": ["SPY"], "updatedBars": ["SPY", "AAPL"]})
    decoder.on_control({"T": "error", "code": 499, "msg": "odd"})
    decoder.on_disconnected()
    assert received.calls == [
        ("subscribed", frozenset({"SPY"})),
        ("error", "odd (499)"),
        ("disconnected",),
    ]


@pytest.mark.parametrize("code", ADVICE)
def test_every_listed_error_code_has_advice(code: int) -> None:
    assert explain(code, "no") == f"no ({code}); {ADVICE[code]}"


def test_an_unlisted_error_has_its_text_and_code() -> None:
    assert explain(499, "odd") == "odd (499)"
