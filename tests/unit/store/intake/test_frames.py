"""The store does not fail on a frame, whatever bytes it has."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import Block, encode_block
from lean_lite.blocks.block import from_columns
from lean_lite.bus import Frame
from lean_lite.model.timestamps import DAY_NS
from lean_lite.protocol.headers import ERROR, MARKER
from lean_lite.quality import Check
from lean_lite_store.intake.frames import build_batch, read_frame

SUBJECT = "md.graded.equity.1"


def graded(starts: list[int], level: int = 4, reasons: int = 0, feed: str = "iex") -> Block:
    rows = len(starts)
    names = ("open", "high", "low", "close", "volume", "vwap", "origin", "received_ns")
    return from_columns(
        feed,
        ["A"] * rows,
        {
            "start_ns": starts,
            "trade_count": np.zeros(rows),
            "level": np.full(rows, level),
            "reasons": np.full(rows, reasons),
            **{name: np.zeros(rows) for name in names},
        },
    )


def frame(payload: bytes, seq: int = 7, headers: dict[str, str] | None = None) -> Frame:
    return Frame(seq, SUBJECT, headers or {}, payload, 99)


@given(st.binary(max_size=200))
def test_random_bytes_are_kept_as_undecodable(payload: bytes) -> None:
    incoming = read_frame(frame(payload))
    assert incoming.undecodable is not None
    assert (incoming.undecodable.seq, incoming.undecodable.data) == (7, payload)


@given(st.data())
def test_a_changed_byte_never_raises(data: st.DataObject) -> None:
    payload = bytearray(encode_block(graded([1, 2])))
    index = data.draw(st.integers(0, len(payload) - 1))
    payload[index] = data.draw(st.integers(0, 255))
    build_batch([read_frame(frame(bytes(payload))), read_frame(frame(bytes(payload)))])


def test_markers_and_empty_frames_only_move_the_position() -> None:
    marker = read_frame(frame(b"", headers={MARKER: "1"}))
    empty = read_frame(frame(encode_block(graded([])), seq=8))
    batch = build_batch([marker, empty])
    assert (batch.groups, batch.undecodable, batch.positions) == ([], [], {SUBJECT: 8})


def test_a_frame_marked_undecodable_keeps_its_bytes_and_error() -> None:
    undecodable = read_frame(frame(b"\x00", headers={ERROR: "why"})).undecodable
    assert undecodable == (7, SUBJECT, "why", b"\x00")


def test_a_block_without_grades_or_with_an_unknown_one_is_undecodable() -> None:
    with_grades = graded([1])
    ungraded = with_grades.replace(
        {n: column for n, column in with_grades.columns.items() if n != "level"}
    )
    for block, reason in (
        (ungraded, "has no column level"),
        (graded([1], level=5), "not a quality level"),
    ):
        undecodable = read_frame(frame(encode_block(block))).undecodable
        assert undecodable is not None
        assert reason in undecodable.error


def test_rows_are_grouped_by_feed_and_utc_day_without_marked_repeats() -> None:
    frames = [
        graded([DAY_NS - 1, DAY_NS]),
        graded([DAY_NS + 1], reasons=Check.S01_REPEATED.mask),
        graded([2], feed="sip"),
        graded([3]),
    ]
    batch = build_batch(
        [read_frame(frame(encode_block(b), seq)) for seq, b in enumerate(frames, 1)]
    )
    assert batch.repeated == 1
    assert [(g.source.feed, g.day, g.block["seq"].tolist()) for g in batch.groups] == [
        ("iex", 0, [1, 4]),
        ("iex", 1, [1]),
        ("sip", 0, [3]),
    ]


def test_symbols_without_rows_do_not_overflow_the_symbol_table() -> None:
    block = graded([1])
    wide = msgspec.structs.replace(block, symbols=("A", *(f"S{n}" for n in range(70_000))))
    incoming = read_frame(frame(encode_block(wide)))
    batch = build_batch([incoming, incoming])
    assert batch.groups[0].block.symbols == ("A",)
