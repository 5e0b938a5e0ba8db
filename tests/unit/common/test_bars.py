from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.algorithm.data_models import TradeBar
from lean_lite.blocks import empty_block, from_bars
from lean_lite.data.bars import Bars
from tests.unit.common.samples import Row, block_of, trade_bars

ends = st.none() | st.integers(-8, 8)
LISTS = st.lists(trade_bars, max_size=6)


@given(LISTS)
def test_bars_read_like_a_list(expected: list[TradeBar]) -> None:
    bars = Bars(from_bars(expected, feed="csv"))
    assert len(bars) == len(expected)
    assert list(bars) == expected
    assert list(reversed(bars)) == expected[::-1]
    assert [bars[index] for index in range(-len(expected), len(expected))] == expected * 2


@given(LISTS, ends, ends, st.sampled_from([None, 1, 2, -1, -2]))
def test_slices_are_those_of_a_list(
    expected: list[TradeBar], start: int | None, stop: int | None, step: int | None
) -> None:
    part = Bars(from_bars(expected, feed="csv"))[start:stop:step]
    assert isinstance(part, Bars)
    assert list(part) == expected[start:stop:step]


@pytest.mark.parametrize("index", [3, -4])
def test_there_is_nothing_beyond_the_ends(index: int) -> None:
    bars = Bars(block_of([Row().at(minute) for minute in range(3)]))
    with pytest.raises(IndexError):
        bars[index]


def test_a_bar_is_found_by_its_values() -> None:
    bars = Bars(block_of([Row().at(minute) for minute in range(3)]))
    assert bars[1] in bars
    assert bars.index(bars[2]) == 2


def test_bars_can_not_be_changed() -> None:
    bars: Any = Bars(block_of([Row()]))
    with pytest.raises(TypeError):
        bars[0] = bars[0]


def test_no_bars_are_false_like_any_empty_sequence() -> None:
    assert not Bars(empty_block("iex"))


def test_bars_say_how_many_they_are() -> None:
    assert repr(Bars(block_of([Row(), Row().at(1)]))) == "<Bars SPY: 2 x minute>"


def test_a_slice_knows_what_was_expected_of_the_whole() -> None:
    bars = Bars(block_of([Row(), Row().at(1)]), expected=390)
    assert (bars.expected, bars[:1].expected) == (390, 390)
