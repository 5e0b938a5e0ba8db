from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import Block, Origin, from_bars
from lean_lite.model import DataQualityLevel, Resolution, TradeBar
from lean_lite.protocol import (
    Event,
    FeedEvent,
    GapEvent,
    Heartbeat,
    LiveBar,
    Sample,
    SubscribeReply,
    Watermark,
)
from lean_lite.protocol.live import live_bars
from tests.harness.bars import MESSAGES, Row, block_of, live_bar, trade_bars

MAPS = {name: sample for name, sample in MESSAGES.items() if not isinstance(sample, Sample)}


def graded(block: Block, level: int = 4, reasons: int = 0) -> Block:
    rows = len(block)
    return block.with_columns(
        level=np.full(rows, level, "|u1"), reasons=np.full(rows, reasons, "<u8")
    )


@given(st.lists(trade_bars), st.sampled_from(DataQualityLevel), st.integers(0, 2**63 - 1))
def test_rows_of_a_block_become_live_records(
    bars: list[TradeBar], quality: DataQualityLevel, reasons: int
) -> None:
    block = graded(from_bars(bars, feed="csv"), quality.code, reasons)
    records = live_bars(block, seq=7, wall_ns=5)
    assert [record.bar() for record in records] == bars
    assert {(r.quality, r.reasons, r.seq, r.wall_ns, r.feed) for r in records} <= {
        (quality, reasons, 7, 5, "csv")
    }


def test_without_a_sequence_each_record_has_that_of_its_row() -> None:
    block = graded(block_of([Row(), Row().at(1)])).with_columns(seq=np.array([3, 9], "<i8"))
    assert [record.seq for record in live_bars(block)] == [3, 9]


@pytest.mark.parametrize(
    ("origin", "late"),
    [
        (Origin.LIVE, False),
        (Origin.CUSTOM, False),
        (Origin.UPDATED, True),
        (Origin.BACKFILL, True),
    ],
)
def test_updated_and_backfilled_bars_are_late(origin: Origin, *, late: bool) -> None:
    block = graded(block_of([Row(origin=origin)]))
    assert [record.late for record in live_bars(block, seq=1)] == [late]
    assert [record.late for record in live_bars(block, seq=1, late=True)] == [True]


def test_records_of_a_simulated_block_are_simulated() -> None:
    (record,) = live_bars(graded(block_of([Row()], simulated=True)), seq=1)
    assert record.simulated


def test_records_keep_the_resolution() -> None:
    bar = msgspec.structs.replace(live_bar().bar(), resolution=Resolution.DAILY)
    (record,) = live_bars(graded(from_bars([bar], feed="csv")), seq=1)
    assert record.bar() == bar


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_survives_the_wire(name: str) -> None:
    sample = MESSAGES[name]
    data = msgspec.msgpack.encode(sample)
    assert msgspec.msgpack.decode(data, type=type(sample)) == sample


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_survives_json(name: str) -> None:
    sample = MESSAGES[name]
    assert msgspec.json.decode(msgspec.json.encode(sample), type=type(sample)) == sample


@pytest.mark.parametrize("name", MAPS)
def test_keys_of_later_versions_are_ignored(name: str) -> None:
    sample = MAPS[name]
    wire: dict[str, Any] = msgspec.to_builtins(sample) | {"later": {"still": ["later"]}}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(wire), type=type(sample)) == sample


@pytest.mark.parametrize("name", MAPS)
def test_keys_that_earlier_versions_lack_have_defaults(name: str) -> None:
    sample = MAPS[name]
    fields = msgspec.structs.fields(sample)
    optional = {field.encode_name for field in fields if not field.required}
    wire: dict[str, Any] = msgspec.to_builtins(sample)
    old = {key: value for key, value in wire.items() if key not in optional}
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=type(sample))
    for field in fields:
        expected = getattr(sample, field.name) if field.required else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            expected = field.default_factory()
        assert getattr(decoded, field.name) == expected


def test_fields_of_later_samples_are_ignored() -> None:
    data = msgspec.msgpack.encode(["bars_total", {}, 1.0, "later"])
    assert msgspec.msgpack.decode(data, type=Sample) == Sample("bars_total", {}, 1.0)


def test_default_values_of_a_live_record_are_left_out() -> None:
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(live_bar()))
    assert wire.keys().isdisjoint({"vwap", "trade_count", "late", "simulated", "resolution_s"})


@pytest.mark.parametrize("name", ["feed_event", "gap_event"])
def test_an_event_is_decoded_by_its_tag(name: str) -> None:
    event = MESSAGES[name]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event


def test_an_unknown_state_of_a_feed_is_an_error() -> None:
    wire = {"type": "feed", "feed": "iex", "state": "bored", "wall_ns": 1}
    with pytest.raises(msgspec.ValidationError, match="bored"):
        msgspec.msgpack.decode(msgspec.msgpack.encode(wire), type=FeedEvent | GapEvent)


def test_messages_do_not_share_mutable_defaults() -> None:
    one, other = Watermark(1, 0), Watermark(2, 1)
    assert one.rows is not other.rows
    assert SubscribeReply(()).refused is not SubscribeReply(()).refused


def test_a_service_is_ready_unless_it_reports_a_failure() -> None:
    assert Heartbeat("store", "store-0", 1, 1, 1).ready
    assert not Heartbeat("store", "store-0", 1, 1, 1, failing=("bus",)).ready


def test_a_heartbeat_yields_its_samples_by_name() -> None:
    samples = tuple(Sample(name, {"n": str(n)}, 1.0) for n, name in enumerate(["a", "b", "a"]))
    heartbeat = Heartbeat("store", "store-0", 1, 1, 1, samples=samples)
    assert list(heartbeat.counted("a")) == [samples[0], samples[2]]
    assert list(heartbeat.counted("c")) == []


def test_live_records_are_immutable() -> None:
    record: LiveBar = live_bar()
    with pytest.raises(AttributeError):
        record.close = 1.0  # type: ignore[misc]
