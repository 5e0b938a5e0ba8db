import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import BAR, QUOTE, Block, Origin, empty_block
from lean_lite.blocks.resample import check_longer, resample
from lean_lite.market.calendar import calendar_of
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets
from lean_lite.model import Resolution
from lean_lite.model.timestamps import to_ns
from tests.harness.bars import MINUTE_NS, Row, block_of

NAN = float("nan")
HOUR = Resolution.HOUR
# A Tuesday; 14:00 UTC is 9:00 in New York.
NINE_NS = to_ns(datetime(2026, 11, 24, 14, tzinfo=UTC))
OPEN = 30
CLOSE = 7 * 60


def bar(minute: int, **values: Any) -> Row:
    """Return a bar some minutes after 9:00 New York."""
    return Row(start_ns=NINE_NS + minute * MINUTE_NS)._replace(**values)


def graded(rows: Sequence[Row], grades: Iterable[tuple[int, int]]) -> Block:
    levels, reasons = zip(*grades, strict=True) if rows else ((), ())
    return block_of(rows).with_columns(
        level=np.array(levels, "|u1"), reasons=np.array(reasons, "<u8")
    )


def folded(rows: Sequence[Row], resolution: Resolution = HOUR, *, extended: bool = True) -> Block:
    return resample(block_of(rows), resolution, extended=extended)


def only(block: Block, *names: str) -> Any:
    """Return values of the only row of a block."""
    assert len(block) == 1
    values = tuple(block[name].tolist()[0] for name in names)
    return values if len(names) > 1 else values[0]


def test_an_hour_is_first_open_highest_high_lowest_low_last_close_and_all_volume() -> None:
    hour = folded(
        [
            bar(30, open=10, high=12, low=9, close=11, volume=100, origin=Origin.BACKFILL),
            bar(31, open=11, high=15, low=10, close=14, volume=200),
            bar(59, open=14, high=14, low=8, close=9, volume=300, origin=Origin.UPDATED),
        ]
    )
    assert only(hour, "open", "high", "low", "close", "volume") == (10, 15, 8, 9, 600)
    assert only(hour, "start_ns", "origin") == (NINE_NS, Origin.UPDATED)
    assert only(hour, "received_ns") == NINE_NS + 60 * MINUTE_NS
    assert (hour.resolution, hour.feed, hour.symbols) == (HOUR, "iex", ("SPY",))
    assert list(hour.columns) == list(BAR.required)


def test_a_folded_block_is_simulated_if_its_bars_are() -> None:
    assert resample(block_of([bar(30)], simulated=True), HOUR).simulated


@pytest.mark.parametrize(
    ("bars", "vwap"),
    [
        ([(10.0, 100), (20.0, 300)], 17.5),
        # A bar without volume has no weight and needs no VWAP.
        ([(10.0, 100), (99.0, 0)], 10.0),
        ([(10.0, 100), (NAN, 0)], 10.0),
        # One missing VWAP of a bar with volume makes that of the longer bar unknown.
        ([(10.0, 100), (NAN, 1)], NAN),
        ([(10.0, 0), (20.0, 0)], NAN),
        ([(NAN, 0)], NAN),
    ],
)
def test_vwap_is_weighted_by_volume(bars: list[tuple[float, float]], vwap: float) -> None:
    rows = [bar(n, vwap=price, volume=volume) for n, (price, volume) in enumerate(bars)]
    assert only(folded(rows), "vwap") == pytest.approx(vwap, nan_ok=True)


@pytest.mark.parametrize(
    ("bars", "count"),
    [
        ([(3, 100), (4, 100)], 7),
        ([(3, 100), (-1, 0)], 3),
        ([(3, 100), (-1, 100)], -1),
        ([(-1, 0), (-1, 0)], -1),
        ([(0, 0), (-1, 0)], 0),
    ],
)
def test_trade_counts_add_up_if_every_bar_with_volume_has_one(
    bars: list[tuple[int, float]], count: int
) -> None:
    rows = [bar(n, trade_count=trades, volume=volume) for n, (trades, volume) in enumerate(bars)]
    assert only(folded(rows), "trade_count") == count


def test_a_longer_bar_has_the_worst_level_and_all_reasons_of_its_bars() -> None:
    block = graded([bar(1), bar(2), bar(61)], [(4, 0b001), (2, 0b100), (3, 0b010)])
    hours = resample(block, HOUR)
    assert hours["level"].tolist() == [2, 3]
    assert hours["reasons"].tolist() == [0b101, 0b010]
    assert [hours[name].dtype.str for name in ("level", "reasons")] == ["|u1", "<u8"]


def test_invalid_bars_are_left_out() -> None:
    block = graded([bar(1, volume=5), bar(2, volume=7), bar(61)], [(4, 0), (0, 8), (0, 8)])
    assert only(resample(block, HOUR), "volume", "level", "reasons") == (5, 4, 0)


def test_sequence_and_store_time_are_those_of_the_newest_frame() -> None:
    block = block_of([bar(1), bar(2)]).with_columns(
        seq=np.array([9, 7], "<i8"), stored_ns=np.array([1, 2], "<i8")
    )
    assert only(resample(block, HOUR), "seq", "stored_ns") == (9, 2)


def test_of_two_bars_with_the_same_start_the_later_counts() -> None:
    rows = [bar(1, volume=5, high=200), bar(2, volume=7), bar(1, volume=6)]
    assert only(folded(rows), "volume", "high") == (13, 101)


def ticks(*rows: Row) -> Block:
    return msgspec.structs.replace(block_of(rows), resolution=Resolution.TICK)


def test_every_tick_counts_even_with_the_same_start() -> None:
    for rows in ([(1, 5), (1, 7), (2, 1)], [(2, 1), (1, 5), (1, 7)], [(1, 5), (1, 5), (1, 3)]):
        block = ticks(*[bar(minute, volume=volume) for minute, volume in rows])
        assert only(resample(block, HOUR), "volume") == 13


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=9))
def test_ticks_with_the_same_start_keep_their_order(trades: list[tuple[int, int]]) -> None:
    minute = resample(
        ticks(*[bar(0, start_ns=NINE_NS + at, open=p, high=p, low=p, close=p) for at, p in trades]),
        Resolution.MINUTE,
    )
    in_order = [price for _, price in sorted(trades, key=lambda trade: trade[0])]
    assert only(minute, "open", "high", "low", "close", "volume") == (
        *(in_order[0], max(in_order), min(in_order), in_order[-1]),
        1_000 * len(trades),
    )


def test_a_tick_is_regular_from_the_open_to_the_close() -> None:
    block = ticks(*[bar(minute) for minute in (OPEN - 1, OPEN, CLOSE - 1, CLOSE)])
    assert only(resample(block, Resolution.DAILY, extended=False), "volume") == 2_000


def test_an_invalid_bar_does_not_replace_a_valid_one() -> None:
    block = graded([bar(1, volume=5), bar(1, volume=7)], [(4, 0), (0, 8)])
    assert only(resample(block, HOUR), "volume") == 5


def test_only_the_regular_session_counts_without_extended_hours() -> None:
    rows = [bar(minute) for minute in (0, OPEN - 1, OPEN, 59, CLOSE - 1, CLOSE, 600)]
    hours = folded(rows, extended=False)
    assert hours["start_ns"].tolist() == [NINE_NS, NINE_NS + 6 * 60 * MINUTE_NS]
    assert hours["volume"].tolist() == [2_000, 1_000]
    assert len(folded(rows)) == 4


def test_crypto_trades_in_regular_hours_only() -> None:
    rows = [bar(minute, symbol="BTC/USD") for minute in (0, 600, 1_000)]
    assert folded(rows, extended=False)["volume"].sum() == 3_000


def test_an_empty_block_stays_empty_with_its_columns() -> None:
    for block in (empty_block("iex"), graded([bar(1)], [(0, 8)]), block_of([])):
        hours = resample(block, HOUR)
        assert len(hours) == 0
        assert hours.resolution == HOUR
        assert hours.columns.keys() == block.columns.keys()
        assert {name: hours[name].dtype for name in hours.columns} == {
            name: block[name].dtype for name in block.columns
        }


def test_folding_does_not_change_its_input() -> None:
    block = block_of([bar(2, volume=0, vwap=NAN), bar(1, trade_count=-1)])
    for column in block.columns.values():
        column.flags.writeable = False
    resample(block, HOUR)


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("minute", "90s"),
        ("minute", "second"),
        ("5min", "7min"),
        ("tick", "tick"),
        ("daily", "hour"),
        ("2d", "7d"),
    ],
)
def test_resolutions_that_do_not_add_up_are_an_error(shorter: str, longer: str) -> None:
    block = empty_block("iex", resolution=Resolution(shorter))
    with pytest.raises(ValueError, match=f"{shorter} bars do not add up to {longer} bars: use a"):
        resample(block, Resolution(longer))


def test_quotes_can_not_be_resampled() -> None:
    with pytest.raises(
        ValueError, match="only trade bars can be resampled, not records of kind quote"
    ):
        resample(empty_block("sip", kind=QUOTE), Resolution.HOUR)


@pytest.mark.parametrize(
    ("shorter", "longer"), [("minute", "minute"), ("tick", "1s"), ("1d", "7d")]
)
def test_resolutions_that_add_up_pass(shorter: str, longer: str) -> None:
    check_longer(Resolution(shorter), Resolution(longer))


SYMBOLS = ("SPY", "AAPL", "BTC/USD", "EUR/USD")
prices = st.integers(1, 400).map(lambda quarter: quarter / 4)
rows_of_any_order = st.lists(
    st.builds(
        Row,
        st.sampled_from(SYMBOLS),
        st.integers(-4_000, 4_000).map(lambda minute: NINE_NS + minute * MINUTE_NS),
        *[prices] * 4,
        st.integers(0, 9).map(float),
        prices | st.just(NAN),
        st.integers(-1, 5),
        st.sampled_from(Origin),
        st.integers(0, 9),
    ),
    max_size=40,
)
grades = st.tuples(st.integers(0, 4), st.integers(0, 15))
lengths = st.sampled_from(["5min", "30min", "hour", "4h", "7h", "daily", "2d", "7d"])


@given(rows=rows_of_any_order, length=st.sampled_from(["minute", "daily"]))
def test_bars_of_the_target_resolution_keep_their_values(rows: list[Row], length: str) -> None:
    block = msgspec.structs.replace(block_of(rows), resolution=Resolution(length))
    resampled = resample(block, Resolution(length))
    latest = {(block.symbol_names.index(row.symbol), row.start_ns): row for row in rows}
    expected = block_of([latest[key] for key in sorted(latest)])
    assert resampled.symbol_names == expected.symbol_names
    for name in (*BAR.values, "start_ns", "origin", "received_ns"):
        np.testing.assert_array_equal(resampled[name], expected[name])


@given(data=st.data(), rows=rows_of_any_order, length=lengths, extended=st.booleans())
def test_any_bars_fold_as_the_reference_does(
    data: st.DataObject, rows: list[Row], length: str, *, extended: bool
) -> None:
    given_grades = data.draw(st.lists(grades, min_size=len(rows), max_size=len(rows)))
    resolution = Resolution(length)
    resampled = resample(graded(rows, given_grades), resolution, extended=extended)
    expected = reference_fold(zip(rows, given_grades, strict=True), resolution, extended=extended)
    # A block's symbols are in order of their first row.
    symbols = list(dict.fromkeys(row.symbol for row in rows))
    keys = sorted(expected, key=lambda key: (symbols.index(key[0]), key[1]))
    found_keys = zip(resampled.symbol_names, resampled["start_ns"].tolist(), strict=True)
    assert list(found_keys) == keys
    for row, key in enumerate(keys):
        found = {name: resampled[name].tolist()[row] for name in expected[key]}
        assert found.pop("vwap") == pytest.approx(expected[key].pop("vwap"), nan_ok=True)
        assert found == expected[key]


def reference_fold(
    bars: Iterable[tuple[Row, tuple[int, int]]], resolution: Resolution, *, extended: bool
) -> dict[tuple[str, int], dict[str, Any]]:
    latest = {(row.symbol, row.start_ns): (row, grade) for row, grade in bars if grade[0] > 0}
    groups: dict[tuple[str, int], list[tuple[Row, tuple[int, int]]]] = {}
    for (symbol, start_ns), graded_row in sorted(latest.items(), key=lambda item: item[0]):
        calendar = calendar_of(asset_class_of(symbol))
        if extended or calendar.spans(start_ns, start_ns + MINUTE_NS, extended=False):
            buckets = TimeBuckets(asset_class_of(symbol), resolution.seconds)
            groups.setdefault((symbol, buckets.start(start_ns)), []).append(graded_row)
    return {key: reference_bar(group) for key, group in groups.items()}


def reference_bar(group: list[tuple[Row, tuple[int, int]]]) -> dict[str, Any]:
    rows, grades = [row for row, _ in group], [grade for _, grade in group]
    traded = [row for row in rows if row.volume]
    volume = math.fsum(row.volume for row in rows)
    value = math.fsum(row.volume * row.vwap for row in traded)
    counts = [row.trade_count for row in rows if row.trade_count >= 0]
    is_counted = counts and all(row.trade_count >= 0 for row in traded)
    return {
        "open": rows[0].open,
        "high": max(row.high for row in rows),
        "low": min(row.low for row in rows),
        "close": rows[-1].close,
        "volume": volume,
        "vwap": value / volume if volume else NAN,
        "trade_count": sum(counts) if is_counted else -1,
        "origin": rows[-1].origin,
        "received_ns": max(row.received_ns or 0 for row in rows),
        "level": min(level for level, _ in grades),
        "reasons": np.bitwise_or.reduce([reason for _, reason in grades]),
    }


@given(rows_of_any_order, st.sampled_from(["5min", "30min", "hour", "2h", "12h"]))
def test_folding_in_two_steps_gives_the_same_days(rows: list[Row], between: str) -> None:
    block = block_of(rows)
    in_one_step = resample(block, Resolution.DAILY)
    in_two_steps = resample(resample(block, Resolution(between)), Resolution.DAILY)
    for name in ("symbol", "start_ns", "open", "high", "low", "close", "volume", "trade_count"):
        assert in_two_steps[name].tolist() == in_one_step[name].tolist(), name


@given(rows_of_any_order, lengths)
def test_no_volume_is_lost(rows: list[Row], length: str) -> None:
    latest = {(row.symbol, row.start_ns): row.volume for row in rows}
    assert folded(rows, Resolution(length))["volume"].sum() == sum(latest.values())
