"""What callers have at hand is kept as it is meant, and what can't be is refused with advice."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.data import DataPersistence, DataTransformer
from lean_lite.data.bars import Bars
from lean_lite.data.persistence.values import to_timestamp
from lean_lite.model import DataQualityLevel, TradeBar

NOW = datetime.now(UTC)
BARS = [TradeBar("AAPL", NOW, 1, 2, 0.5, 1.5 + minute, 100) for minute in range(3)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[DataPersistence]:
    with DataPersistence(tmp_path / "pipeline.db") as persistence:
        yield persistence


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            {"a": np.float64(1.5), "b": np.int64(2), "c": np.equal(1, 1)},
            {"a": 1.5, "b": 2, "c": True},
        ),
        ({"a": np.float32(0.5), "b": np.float64("nan")}, {"a": 0.5, "b": None}),
        ({np.int64(1): np.str_("one")}, {"1": "one"}),
        (
            {"a": np.arange(3), "b": np.array([[1.5, math.nan]])},
            {"a": [0, 1, 2], "b": [[1.5, None]]},
        ),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series({pd.Timestamp(0): 1.5}).to_dict(), {"1970-01-01T00:00:00": 1.5}),
        (
            {"at": pd.Timestamp(0, tz="UTC"), "b": pd.NaT, "c": pd.NA},
            {"at": "1970-01-01T00:00:00+00:00", "b": None, "c": None},
        ),
        ({"at": np.datetime64("2024-01-02T14:30", "ns")}, {"at": "2024-01-02T14:30:00"}),
        (
            {"for": np.timedelta64(90, "s"), "as": pd.Timedelta("90s")},
            {"for": "PT90S", "as": "P0DT0H1M30S"},
        ),
        (MappingProxyType({"level": DataQualityLevel.GOOD}), {"level": 0.9}),
        (range(3), [0, 1, 2]),
    ],
)
def test_numbers_and_times_of_numpy_and_pandas_are_carried(
    kept: DataPersistence, given: object, read: object
) -> None:
    kept.save_market_data("AAPL", NOW, "trade", given)
    (row,) = kept.get_recent_data("AAPL")
    assert row["data"] == read


def test_indicators_and_bars_are_carried(kept: DataPersistence) -> None:
    sma = DataTransformer.calculate_technical_indicators(BARS)["sma_20"]
    kept.save_market_data("AAPL", NOW, "indicator", {"sma": sma.iloc[-1], "all": sma})
    kept.save_market_data("AAPL", NOW, "history", Bars.of(BARS))
    kept.save_metrics({"engine": {"average_latency_ms": np.float64(1.5)}})
    indicator, history = kept.get_recent_data("AAPL")
    assert indicator["data"] == {"sma": None, "all": [None] * 3}
    assert [bar["close"] for bar in history["data"]] == [1.5, 2.5, 3.5]
    assert kept.get_metrics_history()[0]["data"] == {"engine": {"average_latency_ms": 1.5}}


@pytest.mark.parametrize(
    "data",
    [object(), {"frame": pd.DataFrame()}, [np.complex128(1j)], {("a", "b"): 1}, np.longdouble(1)],
)
def test_what_json_can_not_carry_is_refused_with_advice(
    kept: DataPersistence, data: object
) -> None:
    with pytest.raises(TypeError, match=r"data can't be kept as JSON: .*; give numbers"):
        kept.save_market_data("AAPL", NOW, "trade", data)


def test_a_list_in_itself_is_refused(kept: DataPersistence) -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="data can't be kept as JSON"):
        kept.save_market_data("AAPL", NOW, "trade", endless)


def test_text_that_is_not_unicode_is_refused_but_an_error_is_kept(kept: DataPersistence) -> None:
    with pytest.raises(ValueError, match="data can't be kept as JSON"):
        kept.save_market_data("AAPL", NOW, "trade", "\ud800")
    with pytest.raises(ValueError, match="symbol can't be kept"):
        kept.save_market_data("\ud800", NOW, "trade", {})
    kept.save_error("file", "no such file: \udcff")
    assert kept.get_errors()[0]["message"] == r"no such file: \udcff"


@pytest.mark.parametrize(
    ("score", "read"),
    [
        (None, None),
        (DataQualityLevel.GOOD, 0.9),
        (np.float32(0.5), 0.5),
        (np.float64(0.25), 0.25),
        (np.int64(1), 1.0),
        (1, 1.0),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_a_score_is_a_number_or_a_grade(
    kept: DataPersistence, score: float | DataQualityLevel | None, read: float | None
) -> None:
    kept.save_market_data("AAPL", NOW, "trade", {}, quality_score=score)
    assert kept.get_recent_data("AAPL")[0]["quality_score"] == read


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"symbol": None}, "symbol is text, not None"),
        ({"data_type": 5}, "data_type is text, not 5"),
        ({"timestamp": "2024-01-01"}, "timestamp is a datetime, as datetime.now"),
        ({"quality_score": "good"}, "quality_score is a number, a DataQualityLevel or None"),
    ],
)
def test_a_wrong_argument_is_named_with_what_to_give(
    kept: DataPersistence, wrong: dict[str, object], advice: str
) -> None:
    right: dict[str, object] = {
        "symbol": "AAPL",
        "timestamp": NOW,
        "data_type": "trade",
        "data": {},
        "quality_score": 1.0,
    }
    with pytest.raises(TypeError, match=advice):
        kept.save_market_data(**right | wrong)  # type: ignore[arg-type]
    assert kept.get_recent_data("AAPL", hours=math.inf) == []


def test_an_error_that_says_nothing_is_kept_by_its_name(kept: DataPersistence) -> None:
    kept.save_error("feed", TimeoutError())
    kept.save_error("feed", KeyError("AAPL"))
    assert [row["message"] for row in kept.get_errors()] == ["TimeoutError()", "'AAPL'"]
    with pytest.raises(TypeError, match="error_type is text"):
        kept.save_error(TimeoutError, "late")  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [math.inf, 1e8, 1e300, np.float64(1e6)])
def test_as_many_hours_as_one_likes_are_all_there_is(kept: DataPersistence, hours: float) -> None:
    then = datetime(1950, 1, 1, tzinfo=UTC)
    kept.save_market_data("AAPL", then, "trade", {})
    assert [row["timestamp"] for row in kept.get_recent_data("AAPL", hours=hours)] == [then]
    assert kept.get_errors(hours=hours) == kept.get_metrics_history(hours=hours) == []


@pytest.mark.parametrize("hours", [math.nan, -1, -math.inf])
def test_hours_that_do_not_count_back_are_refused(kept: DataPersistence, hours: float) -> None:
    with pytest.raises(ValueError, match="hours is a number from 0, not"):
        kept.get_recent_data("AAPL", hours=hours)
    with pytest.raises(TypeError, match="hours is a number, not '24'"):
        kept.get_recent_data("AAPL", hours="24")  # type: ignore[arg-type]


MOMENTS = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the zone comes beside
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(MOMENTS, MOMENTS)
def test_moments_sort_as_their_text_and_come_back(one: datetime, other: datetime) -> None:
    first, second = to_timestamp("timestamp", one), to_timestamp("timestamp", other)
    assert (first < second) == (one < other)
    assert datetime.fromisoformat(first) == one


def test_a_record_of_long_ago_can_be_read(kept: DataPersistence) -> None:
    then = datetime(33, 4, 3, tzinfo=UTC)
    kept.save_market_data("AAPL", then, "trade", {})
    assert kept.get_recent_data("AAPL", hours=math.inf)[0]["timestamp"] == then


def test_a_timestamp_of_pandas_is_a_moment(kept: DataPersistence) -> None:
    there = pd.Timestamp("2024-01-02 09:30:00.123456789", tz="America/New_York")
    assert to_timestamp("timestamp", there) == "2024-01-02T14:30:00.123456Z"
    naive = pd.Timestamp("2024-01-02 09:30")
    assert to_timestamp("timestamp", naive) == to_timestamp("timestamp", naive.to_pydatetime())


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=1))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        pd.NaT,
    ],
)
def test_a_moment_beyond_the_calendar_is_refused(moment: object) -> None:
    with pytest.raises(ValueError, match="timestamp is a moment of the years 2 to 9998, not"):
        to_timestamp("timestamp", moment)
