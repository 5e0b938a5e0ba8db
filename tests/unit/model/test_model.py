import pickle
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.model import DataQualityLevel, QuoteBar, Resolution, TradeBar
from lean_lite.model.timestamps import from_ns, to_ns

NAIVE = datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - what a strategy may write
HALF_PAST_NINE = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)  # in New York


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def trade_bar(timestamp: datetime) -> TradeBar:
    return TradeBar("SPY", timestamp, 1.0, 2.0, 0.5, 1.5, 100.0)


@pytest.mark.usefixtures("new_york")
def test_a_naive_timestamp_is_local_time() -> None:
    assert trade_bar(NAIVE).timestamp == HALF_PAST_NINE
    assert to_ns(NAIVE) == to_ns(HALF_PAST_NINE)


def test_the_timestamp_of_a_bar_is_always_aware_utc() -> None:
    given = HALF_PAST_NINE.astimezone(timezone(timedelta(hours=9)))
    quote = QuoteBar("SPY", given, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.1, 1.1)
    for bar in (trade_bar(given), quote):
        assert bar.timestamp == given
        assert bar.timestamp.tzinfo is UTC


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    "stamp",
    [
        pd.Timestamp("2026-11-23 09:30"),
        pd.Timestamp("2026-11-23 14:30", tz="UTC"),
        pd.Timestamp("2026-11-23 09:30", tz="America/New_York"),
        pd.Timestamp("2026-11-23 23:30:00.000000789", tz="Asia/Tokyo"),
    ],
)
def test_a_pandas_timestamp_becomes_a_plain_datetime(stamp: Any) -> None:
    quote = QuoteBar("SPY", stamp, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.1, 1.1)
    for bar in (trade_bar(stamp), quote):
        assert bar.timestamp == HALF_PAST_NINE
        assert type(bar.timestamp) is datetime
        assert bar.timestamp.tzinfo is UTC
        assert msgspec.json.decode(msgspec.json.encode(bar), type=type(bar)) == bar
    assert to_ns(stamp) == to_ns(HALF_PAST_NINE)


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.usefixtures("new_york")
def test_fold_distinguishes_both_hours_of_a_clock_change(fold: int) -> None:
    naive = datetime(2026, 11, 1, 1, 30, fold=fold)  # noqa: DTZ001 - what a strategy may write
    stamp = pd.Timestamp(naive)
    assert trade_bar(stamp).timestamp == datetime(2026, 11, 1, 5 + fold, 30, tzinfo=UTC)
    assert trade_bar(stamp).timestamp == trade_bar(naive).timestamp


@pytest.mark.parametrize("other", [None, pd.NaT, "2026-11-23", np.datetime64("2026-11-23"), 5])
def test_anything_but_a_datetime_is_a_type_error(other: Any) -> None:
    with pytest.raises(TypeError, match="a timestamp must be a datetime, not "):
        trade_bar(other)
    with pytest.raises(TypeError, match="a timestamp must be a datetime, not "):
        to_ns(other)


def test_a_bar_is_immutable() -> None:
    with pytest.raises(AttributeError):
        trade_bar(HALF_PAST_NINE).close = 2.0  # type: ignore[misc]


def test_vwap_and_trade_count_default_to_none() -> None:
    bar = trade_bar(HALF_PAST_NINE)
    assert (bar.vwap, bar.trade_count, bar.resolution) == (None, None, Resolution.MINUTE)


def test_a_copy_with_another_start_is_in_utc() -> None:
    later = datetime(2026, 11, 23, 10, 30, tzinfo=timezone(timedelta(hours=-5)))
    bar = msgspec.structs.replace(trade_bar(HALF_PAST_NINE), timestamp=later)
    assert bar.timestamp.tzinfo is UTC


@given(
    st.datetimes(
        datetime(1678, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        datetime(2261, 12, 31),  # noqa: DTZ001
        timezones=st.timezones(),
    )
)
def test_timestamps_survive_the_conversion_to_nanoseconds(timestamp: datetime) -> None:
    assert from_ns(to_ns(timestamp)) == timestamp.astimezone(UTC)


@given(st.integers(-(2**63), 2**63 - 1))
def test_nanoseconds_are_rounded_down_to_microseconds(ns: int) -> None:
    timestamp = from_ns(ns)
    assert timestamp.tzinfo is UTC
    assert to_ns(timestamp) == ns - ns % 1_000


@pytest.mark.parametrize("resolution", Resolution)
def test_a_resolution_is_found_by_its_length(resolution: Resolution) -> None:
    assert Resolution.from_seconds(resolution.seconds) is resolution


@given(st.integers(1, 366 * 86_400))
def test_every_length_in_whole_seconds_has_one_resolution(seconds: int) -> None:
    resolution = Resolution.from_seconds(seconds)
    assert resolution.seconds == seconds
    assert Resolution.of(timedelta(seconds=seconds)) is resolution
    assert Resolution(f"{seconds}s") is Resolution(resolution.value) is resolution
    assert pickle.loads(pickle.dumps(resolution)) is resolution
    assert msgspec.json.decode(msgspec.json.encode(resolution), type=Resolution) is resolution
    assert len(Resolution) == 5


def test_threads_that_create_one_length_at_the_same_time_share_it() -> None:
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        # No other test uses these lengths: their members do not exist yet.
        created = [create_in_threads(f"{20_000_001 + number}s") for number in range(200)]
    finally:
        sys.setswitchinterval(interval_s)
    assert max(len({id(member) for member in members}) for members in created) == 1


def create_in_threads(text: str) -> list[Resolution]:
    members: list[Resolution] = []
    barrier = threading.Barrier(4)

    def create() -> None:
        barrier.wait()
        members.append(Resolution(text))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return members


def test_the_text_of_a_length_has_its_largest_unit() -> None:
    lengths = [300, 5_400, 7_200, 86_400, 7 * 86_400, 90]
    texts = [Resolution.from_seconds(length).value for length in lengths]
    assert texts == ["5min", "90min", "2h", "daily", "7d", "90s"]


@pytest.mark.parametrize("seconds", [-60, 367 * 86_400])
def test_lengths_out_of_range_are_an_error(seconds: int) -> None:
    with pytest.raises(ValueError, match="a bar lasts 1 s to 366 days"):
        Resolution.from_seconds(seconds)
    with pytest.raises(ValueError, match="is not a valid Resolution"):
        Resolution(f"{seconds}s")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("minute", 60), ("1Min", 60), ("5min", 300), ("2Hour", 7_200), ("1Day", 86_400)),
        *(("daily", 86_400), ("1Week", 7 * 86_400), ("30Sec", 30), ("TICK", 0)),
    ],
)
def test_a_length_may_be_given_as_text(text: str, seconds: int) -> None:
    assert Resolution.of(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "1Mon", "0min", "999Week", "five", "-1min"])
def test_an_error_about_a_text_has_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid resolution .*: use Resolution\.MINUTE, '5min'"):
        Resolution.of(text)


@pytest.mark.parametrize("length", [5, None, 60.0, ("1Min",)])
def test_a_length_of_another_type_is_a_type_error(length: object) -> None:
    with pytest.raises(TypeError, match=r"invalid resolution .*: use Resolution\.MINUTE"):
        Resolution.of(length)


def test_a_fraction_of_a_second_is_an_error() -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        Resolution.of(timedelta(seconds=1, milliseconds=1))


def test_grades_are_ordered_by_their_score() -> None:
    level = DataQualityLevel
    ordered = [level.INVALID, level.POOR, level.FAIR, level.GOOD, level.EXCELLENT]
    assert sorted(DataQualityLevel) == ordered
    assert [grade.value for grade in ordered] == [0.0, 0.5, 0.75, 0.9, 1.0]
    for lower, higher in pairwise(ordered):
        assert lower < higher
        assert lower <= higher
        assert higher > lower
        assert not higher <= lower


def test_grades_have_the_codes_of_blocks() -> None:
    assert [level.code for level in sorted(DataQualityLevel)] == [0, 1, 2, 3, 4]
    for level in DataQualityLevel:
        assert DataQualityLevel.from_code(level.code) is level


@pytest.mark.parametrize("code", [-1, 5])
def test_codes_out_of_range_are_an_error(code: int) -> None:
    with pytest.raises(IndexError):
        DataQualityLevel.from_code(code)


def test_a_grade_can_not_be_compared_with_a_number() -> None:
    with pytest.raises(TypeError):
        _ = DataQualityLevel.GOOD < 0.95
