import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import BAR, Block, Origin, concat, empty_block, encode_block, from_bars
from lean_lite.blocks.block import from_columns
from lean_lite.blocks.schema import REPEAT_BIT
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import from_ns
from tests.harness.bars import MINUTE_NS, Row, block_of, blocks, trade_bars


@given(st.lists(trade_bars))
def test_bars_survive_the_conversion_to_a_block(bars: list[TradeBar]) -> None:
    block = from_bars(bars, feed="csv", received_ns=5)
    assert list(block.bars()) == bars
    assert set(block["origin"].tolist()) <= {Origin.CUSTOM}
    assert set(block["received_ns"].tolist()) <= {5}


def test_absent_values_are_nan_and_minus_one() -> None:
    block = from_bars([TradeBar("SPY", from_ns(0), 1.0, 1.0, 1.0, 1.0, 1.0)], feed="csv")
    assert np.isnan(block["vwap"][0])
    assert block["trade_count"][0] == -1


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_missing_values_of_pandas_become_missing_values(nothing: Any) -> None:
    start = from_ns(0)
    bars = [
        TradeBar("SPY", start, 1.0, 1.0, 1.0, 1.0, nothing, nothing, nothing),
        TradeBar("SPY", start, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3),
    ]
    block = from_bars(bars, feed="csv")
    assert np.isnan(block["volume"]).tolist() == np.isnan(block["vwap"]).tolist() == [True, False]
    assert block["trade_count"].tolist() == [-1, 3]
    assert block["trade_count"].dtype == np.int64


def test_text_instead_of_a_number_is_an_error() -> None:
    words: Any = "many"
    with pytest.raises(ValueError, match="many"):
        from_bars([TradeBar("SPY", from_ns(0), 1, 1, 1, 1, 1, trade_count=words)], feed="csv")


@given(blocks())
def test_a_block_survives_pickling(block: Block) -> None:
    again = pickle.loads(pickle.dumps(block))
    assert encode_block(again) == encode_block(block)
    assert (again.kind, again.resolution) == (block.kind, block.resolution)
    with pytest.raises(TypeError):
        again.columns["close"] = None


def test_a_read_only_block_shares_memory_with_the_writable_one() -> None:
    block = block_of([Row(), Row().at(1)])
    view = block.read_only()
    assert not any(column.flags.writeable for column in view.columns.values())
    assert np.shares_memory(view["close"], block["close"])
    assert block["close"].flags.writeable
    assert view.read_only() is view


def test_bars_of_two_resolutions_are_an_error() -> None:
    bars = [
        TradeBar("SPY", from_ns(0), 1.0, 1.0, 1.0, 1.0, 1.0, resolution=resolution)
        for resolution in (Resolution.MINUTE, Resolution.DAILY)
    ]
    with pytest.raises(ValueError, match="bars of one resolution, found daily, minute"):
        from_bars(bars, feed="csv")


def test_an_error_names_the_missing_columns() -> None:
    with pytest.raises(ValueError, match="a block of kind bar needs the columns close, high"):
        from_columns(
            "iex", [], {name: [] for name in BAR.required if name not in ("close", "high")}
        )


def test_a_symbol_is_once_in_the_symbol_table() -> None:
    block = block_of([Row("A"), Row("B"), Row("A").at(1)])
    assert block.symbols == ("A", "B")
    assert block.symbol_names == ["A", "B", "A"]


def test_a_bar_ends_one_resolution_after_its_start() -> None:
    block = block_of([Row(), Row().at(1)])
    assert (block.end_ns - block["start_ns"]).tolist() == [MINUTE_NS, MINUTE_NS]


def test_rows_are_taken_in_the_order_chosen() -> None:
    block = block_of([Row(symbol) for symbol in "ABC"])
    assert block.take(np.array([2, 0])).symbol_names == ["C", "A"]
    assert block.take(np.array([False, True, False])).symbol_names == ["B"]


def test_a_slice_copies_nothing() -> None:
    block = block_of([Row(symbol) for symbol in "ABC"])
    part = block.take(slice(1, None))
    assert part.symbol_names == ["B", "C"]
    assert np.shares_memory(part["close"], block["close"])


def test_with_columns_does_not_change_the_block() -> None:
    block = block_of([Row()])
    graded = block.with_columns(level=np.array([4], "|u1"))
    assert graded["level"].tolist() == [4]
    with pytest.raises(KeyError):
        block["level"]


def test_the_columns_of_a_block_are_immutable() -> None:
    block = block_of([Row()])
    with pytest.raises(TypeError):
        block.columns["close"] = block["open"]  # type: ignore[index]


def test_an_empty_block_has_every_required_column() -> None:
    block = empty_block("iex", simulated=True)
    assert len(block) == 0
    assert block.simulated
    assert {name: column.dtype.str for name, column in block.columns.items()} == BAR.required


@given(st.lists(st.lists(st.sampled_from("ABCDE"), max_size=4), min_size=1, max_size=4))
def test_joined_blocks_hold_all_rows_in_order(parts: list[list[str]]) -> None:
    rows = [[Row(symbol, open=float(n)) for n, symbol in enumerate(part)] for part in parts]
    joined = concat([block_of(part) for part in rows])
    flat = [row for part in rows for row in part]
    assert joined.symbol_names == [row.symbol for row in flat]
    assert encode_block(joined) == encode_block(block_of(flat))


def test_an_ungraded_block_has_valid_rows_no_repeats_and_no_scores() -> None:
    block = block_of([Row(), Row().at(1)])
    assert block.is_valid.tolist() == [True, True]
    assert block.is_repeat.tolist() == [False, False]
    assert np.isnan(block.scores).tolist() == [True, True]


def test_masks_and_scores_follow_the_grades() -> None:
    block = block_of([Row().at(minute) for minute in range(5)]).with_columns(
        level=np.array([0, 1, 2, 3, 4], "|u1"),
        reasons=np.array([1, 1 << REPEAT_BIT, 1 << 8, 2**63, 2**64 - 1], "<u8"),
    )
    assert block.is_valid.tolist() == [False, True, True, True, True]
    assert block.is_repeat.tolist() == [False, True, False, False, True]
    assert block.scores.tolist() == [0.0, 0.5, 0.75, 0.9, 1.0]


def test_only_symbols_with_rows_count_as_symbols_of_a_block() -> None:
    block = block_of([Row("B"), Row("A"), Row("B").at(1)])
    assert block.symbols_with_rows == ("B", "A")
    part = block.take(slice(1, 2))
    assert (part.symbols, part.symbols_with_rows) == (("B", "A"), ("A",))
    part.require_one_symbol()
    empty_block("iex").require_one_symbol()


def test_an_error_about_many_symbols_names_the_first_five() -> None:
    block = block_of([Row(symbol) for symbol in "ABCDEFG"])
    with pytest.raises(ValueError, match="found A, B, C, D, E and 2 more: split them"):
        block.require_one_symbol()


OTHERS = {
    "feed": block_of([Row()], feed="sip"),
    "resolution": empty_block("iex", resolution=Resolution.DAILY),
    "flag of simulated data": block_of([Row()], simulated=True),
    "columns": block_of([Row()]).with_columns(level=np.array([4], "|u1")),
}


@pytest.mark.parametrize("difference", OTHERS)
def test_blocks_that_differ_can_not_be_joined(difference: str) -> None:
    other: Block = OTHERS[difference]
    with pytest.raises(ValueError, match="can't join blocks of different"):
        concat([block_of([Row()]), other])


def test_joining_needs_at_least_one_block() -> None:
    with pytest.raises(ValueError, match="at least one is needed"):
        concat([])
