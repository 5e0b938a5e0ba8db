from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import from_bars
from lean_lite.data import DataValidator
from lean_lite.data.validator import PASSED
from lean_lite.market.symbols import asset_class_of
from lean_lite.model import DataQualityLevel, QuoteBar, Resolution, TradeBar
from lean_lite.model.timestamps import to_ns
from lean_lite.quality import Grader
from tests.harness.bars import trade_bars

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EXCELLENT, POOR, INVALID = (
    DataQualityLevel.EXCELLENT,
    DataQualityLevel.POOR,
    DataQualityLevel.INVALID,
)


def bar(minute: int = 0, close: float = 100.5, **changes: Any) -> TradeBar:
    values = {"open": close - 0.5, "high": close + 0.5, "low": close - 1.5, "volume": 1_000.0}
    return TradeBar("SPY", START + minute * MINUTE, close=close, **(values | changes))


def quote(minute: int = 0, middle: float = 100.0) -> QuoteBar:
    bid, ask = middle - 0.1, middle + 0.1
    prices = (bid, middle, middle - 0.2, bid, ask, middle + 0.2, middle, ask)
    at = START + minute * MINUTE
    return QuoteBar("SPY", at, *prices, bid_size=5.0, ask_size=5.0)


def test_a_valid_record_passes_every_check() -> None:
    assert DataValidator.validate_trade_bar(bar()) == (True, EXCELLENT, PASSED)
    assert DataValidator.validate_quote_bar(quote()) == (True, EXCELLENT, PASSED)


def test_contradictory_values_are_invalid_and_named() -> None:
    is_valid, quality, message = DataValidator.validate_trade_bar(bar(high=90.0, volume=-1.0))
    assert (is_valid, quality) == (False, INVALID)
    assert message.startswith("B02_OHLC: high or low contradicts open and close")
    assert "B04_VOLUME" in message


def test_an_extreme_range_is_poor() -> None:
    is_valid, quality, message = DataValidator.validate_trade_bar(bar(high=645.57, low=92.23))
    assert (is_valid, quality) == (True, POOR)
    assert message.startswith("B14_RANGE: extreme range")


def test_an_extreme_movement_is_poor() -> None:
    result = DataValidator.validate_trade_bar(bar(1, 200.5), previous=bar())
    assert result[:2] == (True, POOR)
    assert result[2].startswith("S08_STEP: extreme movement")
    long_ago = bar(-121)
    assert DataValidator.validate_trade_bar(bar(0, 200.5), previous=long_ago)[1] is EXCELLENT
    assert DataValidator.validate_quote_bar(quote(1, 200.0), previous=quote())[1] is POOR


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (timedelta(seconds=3), (False, INVALID)),
        (timedelta(seconds=-3), (True, POOR)),
        (timedelta(minutes=-1), (True, EXCELLENT)),
    ],
)
def test_a_record_of_the_future_is_invalid_and_an_unfinished_one_poor(
    ahead: timedelta, expected: tuple[bool, DataQualityLevel]
) -> None:
    now = START - ahead
    assert DataValidator.validate_trade_bar(bar(), now=now)[:2] == expected
    assert DataValidator.validate_quote_bar(quote(), now=now)[:2] == expected
    soon = datetime.now(UTC) + ahead
    moved = TradeBar("SPY", soon, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert DataValidator.validate_trade_bar(moved)[:2] == expected


@pytest.mark.parametrize("length", [Resolution.MINUTE, Resolution.DAILY, Resolution("366d")])
def test_a_record_of_any_time_can_be_graded(length: Resolution) -> None:
    for start, expected in (
        (datetime(9999, 12, 31, tzinfo=UTC), (False, INVALID)),
        (datetime(1, 1, 1, tzinfo=UTC), (True, EXCELLENT)),
    ):
        far = TradeBar("SPY", start, 1, 1, 1, 1, 1, resolution=length)
        assert DataValidator.validate_trade_bar(far)[:2] == expected
        quotes = QuoteBar("SPY", start, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, length)
        assert DataValidator.validate_quote_bar(quotes)[0] == expected[0]
    long_ago = datetime(1, 1, 1, tzinfo=UTC)
    assert "B10_FUTURE" in DataValidator.validate_trade_bar(bar(), now=long_ago)[2]
    assert DataValidator.validate_trade_bar(bar(), now=datetime(9999, 12, 1, tzinfo=UTC))[0]


@pytest.mark.parametrize("missing", [float("nan"), pd.NA, None])
def test_missing_values_of_pandas_are_graded_as_missing(missing: Any) -> None:
    count_and_vwap = bar(trade_count=missing, vwap=missing)
    assert DataValidator.validate_trade_bar(count_and_vwap) == (True, EXCELLENT, PASSED)
    assert DataValidator.validate_trade_bar(bar(volume=missing))[2].startswith("B01_SCHEMA")
    without_size = msgspec.structs.replace(quote(), bid_size=missing)
    assert DataValidator.validate_quote_bar(without_size)[2].startswith("B01_SCHEMA")


def test_the_daily_bar_of_a_half_day_is_finished_in_the_evening() -> None:
    midnight = datetime(2026, 11, 27, tzinfo=ZoneInfo("America/New_York"))
    day = TradeBar("SPY", midnight, 100, 101, 99, 100, 1e6, resolution=Resolution.DAILY)
    results = [
        DataValidator.validate_trade_bar(day, now=midnight + timedelta(hours=hour))[1]
        for hour in (16, 18)
    ]
    assert results == [POOR, EXCELLENT]


@pytest.mark.parametrize("record", [None, "SPY", {"close": 1.0}])
def test_records_of_another_type_are_refused(record: Any) -> None:
    with pytest.raises(TypeError, match="expected a TradeBar"):
        DataValidator.validate_trade_bar(record)
    with pytest.raises(TypeError, match="expected a QuoteBar, not TradeBar"):
        DataValidator.validate_quote_bar(bar())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        (TradeBar("AAPL", START, 1, 1, 1, 1, 1), "not AAPL minute"),
        (TradeBar("SPY", START, 1, 1, 1, 1, 1, resolution=Resolution.HOUR), "not SPY hour"),
        (bar(1), "starts at .* after"),
    ],
)
def test_a_previous_record_of_another_series_is_refused(previous: TradeBar, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataValidator.validate_trade_bar(bar(), previous=previous)


@given(trade_bars, st.none() | trade_bars, st.integers(-(10**6), 10**6))
def test_the_result_equals_that_of_the_grader(
    record: TradeBar, before: TradeBar | None, seconds: int
) -> None:
    now = record.timestamp + timedelta(seconds=seconds)
    if before is not None:
        before = TradeBar(
            record.symbol,
            min(before.timestamp, record.timestamp),
            *(getattr(before, name) for name in ("open", "high", "low", "close", "volume")),
        )
    given_bars = [record] if before is None else [before, record]
    grader = Grader(asset_class_of(record.symbol))
    for seq, one in enumerate(given_bars):
        graded = grader.grade(seq, from_bars([one], feed="x", received_ns=to_ns(now))).block
    result = DataValidator.validate_trade_bar(record, previous=before, now=now)
    assert result[1].code == graded["level"][-1]
    assert result[0] == (graded["level"][-1] > 0)
    assert (result[2] == PASSED) == (graded["reasons"][-1] == np.uint64(0))
