"""Values of Python, numpy and pandas are saved; other values are refused with advice."""

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
def persistence(tmp_path: Path) -> Iterator[DataPersistence]:
    with DataPersistence(tmp_path / "pipeline.db") as opened:
        yield opened


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
def test_numbers_and_times_of_numpy_and_pandas_are_saved(
    persistence: DataPersistence, given: object, read: object
) -> None:
    persistence.save_market_data("AAPL", NOW, "trade", given)
    (row,) = persistence.get_recent_data("AAPL")
    assert row["data"] == read


def test_indicators_and_bars_are_saved(persistence: DataPersistence) -> None:
    sma = DataTransformer.calculate_technical_indicators(BARS)["sma_20"]
    persistence.save_market_data("AAPL", NOW, "indicator", {"sma": sma.iloc[-1], "all": sma})
    persistence.save_market_data("AAPL", NOW, "history", Bars.of(BARS))
    persistence.save_metrics({"engine": {"average_latency_ms": np.float64(1.5)}})
    indicator, history = persistence.get_recent_data("AAPL")
    assert indicator["data"] == {"sma": None, "all": [None] * 3}
    assert [bar["close"] for bar in history["data"]] == [1.5, 2.5, 3.5]
    assert persistence.get_metrics_history()[0]["data"] == {"engine": {"average_latency_ms": 1.5}}


@pytest.mark.parametrize(
    "data",
    [object(), {"frame": pd.DataFrame()}, [np.complex128(1j)], {("a", "b"): 1}, np.longdouble(1)],
)
def test_data_that_json_can_not_hold_is_refused_with_advice(
    persistence: DataPersistence, data: object
) -> None:
    with pytest.raises(TypeError, match=r"data can't be saved as JSON: .*; use numbers"):
        persistence.save_market_data("AAPL", NOW, "trade", data)


def test_a_list_that_contains_itself_is_refused(persistence: DataPersistence) -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="data can't be saved as JSON"):
        persistence.save_market_data("AAPL", NOW, "trade", endless)


def test_lone_surrogates_are_refused_except_in_an_error_message(
    persistence: DataPersistence,
) -> None:
    with pytest.raises(ValueError, match="data can't be saved as JSON"):
        persistence.save_market_data("AAPL", NOW, "trade", "\ud800")
    with pytest.raises(ValueError, match="symbol can't be saved"):
        persistence.save_market_data("\ud800", NOW, "trade", {})
    persistence.save_error("file", "no such file: \udcff")
    assert persistence.get_errors()[0]["message"] == r"no such file: \udcff"


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
    persistence: DataPersistence, score: float | DataQualityLevel | None, read: float | None
) -> None:
    persistence.save_market_data("AAPL", NOW, "trade", {}, quality_score=score)
    assert persistence.get_recent_data("AAPL")[0]["quality_score"] == read


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"symbol": None}, "symbol must be text, not None"),
        ({"data_type": 5}, "data_type must be text, not 5"),
        ({"timestamp": "2024-01-01"}, "timestamp must be a datetime, such as datetime.now"),
        ({"quality_score": "good"}, "quality_score must be a number, a DataQualityLevel or None"),
    ],
)
def test_an_invalid_argument_is_refused_with_its_name_and_the_expected_type(
    persistence: DataPersistence, wrong: dict[str, object], advice: str
) -> None:
    right: dict[str, object] = {
        "symbol": "AAPL",
        "timestamp": NOW,
        "data_type": "trade",
        "data": {},
        "quality_score": 1.0,
    }
    with pytest.raises(TypeError, match=advice):
        persistence.save_market_data(**right | wrong)  # type: ignore[arg-type]
    assert persistence.get_recent_data("AAPL", hours=math.inf) == []


def test_an_exception_without_a_message_is_saved_as_its_repr(persistence: DataPersistence) -> None:
    persistence.save_error("feed", TimeoutError())
    persistence.save_error("feed", KeyError("AAPL"))
    assert [row["message"] for row in persistence.get_errors()] == ["TimeoutError()", "'AAPL'"]
    with pytest.raises(TypeError, match="error_type must be text"):
        persistence.save_error(TimeoutError, "late")  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [math.inf, 1e8, 1e300, np.float64(1e6)])
def test_hours_beyond_the_range_of_datetime_return_all_rows(
    persistence: DataPersistence, hours: float
) -> None:
    then = datetime(1950, 1, 1, tzinfo=UTC)
    persistence.save_market_data("AAPL", then, "trade", {})
    assert [row["timestamp"] for row in persistence.get_recent_data("AAPL", hours=hours)] == [then]
    assert persistence.get_errors(hours=hours) == persistence.get_metrics_history(hours=hours) == []


@pytest.mark.parametrize("hours", [math.nan, -1, -math.inf])
def test_negative_hours_and_nan_are_refused(persistence: DataPersistence, hours: float) -> None:
    with pytest.raises(ValueError, match="hours must be 0 or more, not"):
        persistence.get_recent_data("AAPL", hours=hours)
    with pytest.raises(TypeError, match="hours must be a number, not '24'"):
        persistence.get_recent_data("AAPL", hours="24")  # type: ignore[arg-type]


TIMES = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the zone is drawn separately
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(TIMES, TIMES)
def test_timestamps_sort_like_their_text_and_decode_to_the_same_time(
    one: datetime, other: datetime
) -> None:
    first, second = to_timestamp("timestamp", one), to_timestamp("timestamp", other)
    assert (first < second) == (one < other)
    assert datetime.fromisoformat(first) == one


def test_a_record_of_the_first_century_can_be_read(persistence: DataPersistence) -> None:
    then = datetime(33, 4, 3, tzinfo=UTC)
    persistence.save_market_data("AAPL", then, "trade", {})
    assert persistence.get_recent_data("AAPL", hours=math.inf)[0]["timestamp"] == then


def test_a_pandas_timestamp_is_converted_like_a_datetime(persistence: DataPersistence) -> None:
    time = pd.Timestamp("2024-01-02 09:30:00.123456789", tz="America/New_York")
    assert to_timestamp("timestamp", time) == "2024-01-02T14:30:00.123456Z"
    naive = pd.Timestamp("2024-01-02 09:30")
    assert to_timestamp("timestamp", naive) == to_timestamp("timestamp", naive.to_pydatetime())


@pytest.mark.parametrize(
    "time",
    [
        datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=1))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        pd.NaT,
    ],
)
def test_a_time_out_of_range_is_refused(time: object) -> None:
    with pytest.raises(ValueError, match="timestamp must lie in the years 2 to 9998, not"):
        to_timestamp("timestamp", time)
