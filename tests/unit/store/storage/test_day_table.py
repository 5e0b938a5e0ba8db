"""The bars of a day do not depend on the order in which their versions arrive."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from lean_lite_store.storage.day_table import SLAB, DayTable
from lean_lite_store.storage.series import source_of

ROW = st.tuples(
    st.sampled_from(["A", "B"]),
    st.integers(0, 2),  # start
    st.integers(0, 3),  # origin
    st.sampled_from([1.0, 2.0, -0.0, 0.0]),
    st.integers(0, 4),  # level
)
FRAMES = st.lists(st.lists(ROW, min_size=1, max_size=4), min_size=1, max_size=8)
Frame = Sequence[tuple[str, int, int, float, int]]


def frame_of(rows: Frame, seq: int) -> Block:
    symbols, starts, origins, values, levels = zip(*rows, strict=True)
    names = ("open", "high", "low", "close", "volume", "vwap")
    return from_columns(
        "iex",
        symbols,
        {
            "start_ns": starts,
            "origin": origins,
            "received_ns": np.full(len(rows), seq),
            "trade_count": np.full(len(rows), -1),
            "level": levels,
            "reasons": np.zeros(len(rows), "<u8"),
            "seq": np.full(len(rows), seq),
            "stored_ns": np.full(len(rows), seq // 2),
            **dict.fromkeys(names, values),
        },
    )


def fold(frames: Sequence[Block]) -> tuple[DayTable, int, list[Block]]:
    table, bars, journal = DayTable(source_of(frames[0])), 0, []
    for frame in frames:
        change = table.plan(frame)
        table.apply(change)
        bars += change.bars
        journal.append(frame.take(change.kept))
    return table, bars, journal


def column_bytes(table: DayTable) -> list[dict[str, bytes]]:
    blocks = [table.read(symbol, -(2**63), 2**63 - 1) for symbol in "AB"]
    return [{name: column.tobytes() for name, column in b.columns.items()} for b in blocks]


@given(FRAMES, st.randoms(use_true_random=False))
def test_bars_do_not_depend_on_the_order_of_versions(rows: list[Frame], rng: object) -> None:
    frames = [frame_of(part, seq) for seq, part in enumerate(rows, 1)]
    shuffled = list(frames)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert column_bytes(fold(frames)[0]) == column_bytes(fold(shuffled)[0])


@given(FRAMES)
def test_frames_that_are_read_again_change_nothing(rows: list[Frame]) -> None:
    frames = [frame_of(part, seq) for seq, part in enumerate(rows, 1)]
    table, _, _ = fold(frames)
    before = column_bytes(table)
    for frame in frames:
        change = table.plan(frame)
        assert (change.bars, int(change.kept.sum())) == (0, change.invalid)
        table.apply(change)
    assert column_bytes(table) == before


@given(FRAMES)
def test_folding_the_journal_gives_the_same_bars(rows: list[Frame]) -> None:
    frames = [frame_of(part, seq) for seq, part in enumerate(rows, 1)]
    table, bars, journal = fold(frames)
    again, bars_again, _ = fold([block for block in journal if len(block)] or frames[:1])
    assert (column_bytes(again), bars_again) == (column_bytes(table), bars)


@given(FRAMES)
def test_the_version_with_the_highest_precedence_time_and_sequence_wins(rows: list[Frame]) -> None:
    frames = [frame_of(part, seq) for seq, part in enumerate(rows, 1)]
    best: dict[tuple[str, int], tuple[int, int]] = {}
    for seq, part in enumerate(rows, 1):
        for symbol, start, origin, _, level in part:
            version = ({1: 1, 2: 2}.get(origin, 0), seq)
            if level:
                best[symbol, start] = max(best.get((symbol, start), version), version)
    table, _, _ = fold(frames)
    found = {
        (symbol, start): seq
        for symbol in "AB"
        for block in [table.read(symbol, 0, 9)]
        for start, seq in zip(block["start_ns"].tolist(), block["seq"].tolist(), strict=True)
    }
    assert found == {key: seq for key, (_, seq) in best.items()}


def test_the_later_of_two_rows_of_one_frame_wins() -> None:
    table, bars, _ = fold([frame_of([("A", 0, 0, 1.0, 4), ("A", 0, 0, 2.0, 4)], 1)])
    assert (bars, table.read("A", 0, 1)["open"].tolist()) == (2, [2.0])


def test_every_bar_of_a_day_in_several_arrays_can_be_read() -> None:
    rows = 100_000
    frames = []
    for seq, first in enumerate(range(0, 3 * rows, rows), 1):
        row = frame_of([("A", 0, 0, 1.0, 4), ("B", 0, 0, 2.0, 4)], seq)
        block = row.take(np.arange(rows) % 2)
        frames.append(block.with_columns(start_ns=np.arange(first, first + rows)))
    table, bars, _ = fold(frames)
    assert (bars, len(table)) == (3 * rows, 3 * rows)
    assert table.read("A", 0, 3 * rows)["start_ns"].tolist() == list(range(0, 3 * rows, 2))
    assert set(table.read("B", 0, 3 * rows)["open"].tolist()) == {2.0}
    assert 2 * rows < 2 * SLAB < 3 * rows
