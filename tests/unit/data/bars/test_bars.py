import copy
import math
import operator
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import empty_block, from_bars
from lean_lite.data import DataBuffer
from lean_lite.data.bars import Bars
from lean_lite.model import QuoteBar, Resolution, TradeBar
from lean_lite.model.timestamps import to_ns
from lean_lite.protocol.history import Gap
from tests.harness.bars import MINUTE_NS, Row, block_of, trade_bars

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
def test_bars_are_sliced_like_a_list(
    expected: list[TradeBar], start: int | None, stop: int | None, step: int | None
) -> None:
    part = Bars(from_bars(expected, feed="csv"))[start:stop:step]
    assert isinstance(part, Bars)
    assert list(part) == expected[start:stop:step]


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_raises(index: int) -> None:
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


def test_empty_bars_are_false() -> None:
    assert not Bars(empty_block("iex"))


def test_repr_shows_symbols_count_and_resolution() -> None:
    assert repr(Bars(block_of([Row(), Row().at(1)]))) == "<Bars SPY: 2 x minute>"
    many = Bars(block_of([Row(f"S{number}") for number in range(500)]))
    assert repr(many) == "<Bars S0, S1, S2, S3, S4 and 495 more: 500 x minute>"
    assert (
        repr(Bars(empty_block("iex", resolution=Resolution.DAILY))) == "<Bars no symbol: 0 x daily>"
    )


def test_a_slice_without_all_bars_has_an_expected_count_of_zero() -> None:
    bars = Bars(block_of([Row(), Row().at(1)]), expected=390)
    assert (bars[:].expected, bars[::-1].expected, bars[:9].expected) == (390, 390, 390)
    assert (bars[:1].expected, bars[::2].expected, bars[9:].expected) == (0, 0, 0)
    assert math.isnan(bars[:1].completeness)


def pickled(bars: Bars) -> Bars:
    restored: Bars = pickle.loads(pickle.dumps(bars))
    return restored


@pytest.mark.parametrize("copier", [pickled, copy.copy, copy.deepcopy])
@given(LISTS, ends, ends, st.sampled_from([None, 2, -1]))
def test_a_copy_equals_the_original_and_is_read_only(
    copier: Callable[[Bars], Bars],
    given_bars: list[TradeBar],
    start: int | None,
    stop: int | None,
    step: int | None,
) -> None:
    gaps = (Gap("SPY", 1, 2, "not served"),)
    partial = np.arange(len(given_bars)) % 2 == 1
    bars = Bars(from_bars(given_bars, feed="csv"), gaps, 390, partial)[start:stop:step]
    copied = copier(bars)
    assert list(copied) == list(bars)
    assert (copied.gaps, copied.expected, copied.resolution) == (
        gaps,
        bars.expected,
        bars.resolution,
    )
    assert copied.partial.tolist() == bars.partial.tolist()
    assert not copied.block["close"].flags.writeable


def test_bars_can_be_sent_to_another_process_and_back() -> None:
    bars = Bars(block_of([Row().at(minute) for minute in range(5)]))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        part = pool.submit(operator.getitem, bars, slice(1, 3)).result()
    assert list(part) == list(bars[1:3])


def test_all_arrays_of_bars_are_read_only() -> None:
    bars = Bars(block_of([Row().at(minute) for minute in range(3)]), partial=np.ones(3, np.bool_))
    for one in (bars, bars[1:], Bars.of(list(bars)), pickled(bars)):
        closes = one.block["close"]
        with pytest.raises(ValueError, match="read-only"):
            closes /= closes[0]
        for array in (*one.block.columns.values(), one.partial):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    assert bars[2].close == 100.5


def test_the_arrays_given_to_bars_stay_writable() -> None:
    block, partial = block_of([Row()]), np.array([True])
    bars = Bars(block, partial=partial)
    assert np.shares_memory(bars.block["close"], block["close"])
    assert block["close"].flags.writeable
    assert partial.flags.writeable


@pytest.mark.parametrize("part", [slice(1, 3), slice(None), slice(None, None, -2), slice(9, 9)])
def test_a_slice_copies_no_memory(part: slice) -> None:
    numbers = np.arange(5)
    block = block_of([Row().at(minute) for minute in range(5)])
    bars = Bars(
        block.with_columns(level=numbers.astype("|u1"), reasons=numbers.astype("<u8")),
        partial=numbers > 2,
    )
    sliced = bars[part]
    for name, column in sliced.block.columns.items():
        assert column.base is not None
        assert np.shares_memory(column, bars.block[name]) == bool(len(sliced))
    assert np.shares_memory(sliced.partial, bars.partial) == bool(len(sliced))
    assert sliced.partial.tolist() == bars.partial.tolist()[part]
    assert sliced.quality.tolist() == bars.quality.tolist()[part]


def test_a_slice_has_all_gaps() -> None:
    gaps = (Gap("SPY", 1, 2, "not served"),)
    assert Bars(block_of([Row()]), gaps)[:0].gaps == gaps


def test_quality_is_the_score_of_each_grade_and_nan_if_ungraded() -> None:
    block = block_of([Row().at(minute) for minute in range(5)])
    graded = block.with_columns(level=np.arange(5, dtype="|u1"))
    assert Bars(graded).quality.tolist() == [0.0, 0.5, 0.75, 0.9, 1.0]
    assert np.isnan(Bars(block).quality).tolist() == [True] * 5


def test_no_bar_is_partial_by_default() -> None:
    bars = Bars(block_of([Row(), Row().at(1)]))
    assert bars.partial.tolist() == [False, False]


def test_to_numpy_has_one_row_per_bar() -> None:
    values = Bars(block_of([Row(), Row(close=2.0, volume=0.0).at(1)])).to_numpy()
    assert values.dtype == np.float64
    assert values.tolist() == [[100, 101, 99, 100.5, 1_000], [100, 101, 99, 2, 0]]
    assert Bars(empty_block("iex")).to_numpy().shape == (0, 5)


def test_to_numpy_returns_a_copy() -> None:
    bars = Bars(block_of([Row()]))
    bars.to_numpy()[:] = 0.0
    assert bars[0].close == 100.5


# A Tuesday on which equities trade; 14:30 UTC is 9:30 in New York.
OPEN_NS = to_ns(datetime(2026, 11, 24, 14, 30, tzinfo=UTC))


def minutes(*after_open: int, symbol: str = "SPY") -> list[Row]:
    return [Row(symbol, OPEN_NS + minute * MINUTE_NS) for minute in after_open]


@pytest.mark.parametrize(
    ("rows", "expected", "share"),
    [
        (minutes(0, 1, 389), 390, 3 / 390),
        # No bars are expected in extended hours.
        (minutes(-1, 0, 390), 390, 1 / 390),
        (minutes(0, 1, 2), 2, 1.0),
        (minutes(-1), 390, 0.0),
        ([], 390, 0.0),
        (minutes(-600, 600, symbol="BTC/USD"), 1_440, 2 / 1_440),
        (minutes(-1, symbol="SPY") + minutes(-1, symbol="BTC/USD"), 4, 1 / 4),
        (minutes(-1, symbol="BTC/USD") + minutes(-1, symbol="SPY"), 4, 1 / 4),
    ],
)
def test_completeness_is_the_share_of_expected_bars(
    rows: list[Row], expected: int, share: float
) -> None:
    assert Bars(block_of(rows), expected=expected).completeness == pytest.approx(share)


def test_completeness_is_nan_if_nothing_is_expected() -> None:
    assert math.isnan(Bars(block_of(minutes(0))).completeness)


def test_a_daily_bar_counts_although_it_starts_before_the_session() -> None:
    midnight_ns = OPEN_NS - 570 * MINUTE_NS
    block = block_of([Row(start_ns=midnight_ns), Row(start_ns=midnight_ns + 4 * 1_440 * MINUTE_NS)])
    days = msgspec.structs.replace(block, resolution=Resolution.DAILY)
    # The second one is a Saturday.
    assert Bars(days, expected=1).completeness == 1.0
    assert Bars(days.take(slice(1, 2)), expected=1).completeness == 0.0


@given(LISTS)
def test_any_iterable_of_bars_can_be_converted(expected: list[TradeBar]) -> None:
    buffer: Any = DataBuffer()
    buffer.extend(expected)
    for source in (expected, tuple(expected), iter(expected), (one for one in expected), buffer):
        bars = Bars.of(source)
        assert list(bars) == expected
        assert Bars.of(bars) is bars


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (None, "bars must be an iterable of TradeBar, not NoneType"),
        (90, "bars must be an iterable of TradeBar, not int"),
        ("SPY", "bars must be TradeBar, not str"),
        ([1.0], "bars must be TradeBar, not float"),
        (Bars(block_of([Row()])).to_df(), "bars must be TradeBar, not str"),
        (Bars(block_of([Row()])).to_numpy(), "bars must be TradeBar, not ndarray"),
    ],
)
def test_objects_that_are_no_iterable_of_bars_are_refused(other: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Bars.of(other)


def test_quotes_are_refused() -> None:
    quote = QuoteBar("SPY", datetime(2026, 11, 24, tzinfo=UTC), 1, 1, 1, 1, 2, 2, 2, 2)
    quotes: Any = [next(block_of([Row()]).bars()), quote]
    with pytest.raises(TypeError, match="bars must be TradeBar, not QuoteBar"):
        Bars.of(quotes)


def test_an_empty_sequence_has_the_given_resolution() -> None:
    assert Bars.of([]).resolution is Resolution.MINUTE
    assert Bars.of([], resolution=Resolution.HOUR).resolution is Resolution.HOUR


def test_a_sequence_of_two_resolutions_is_refused() -> None:
    bar = next(block_of([Row()]).bars())
    with pytest.raises(ValueError, match="bars of one resolution, found hour, minute"):
        Bars.of([bar, msgspec.structs.replace(bar, resolution=Resolution.HOUR)])
