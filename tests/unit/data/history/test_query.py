from datetime import UTC, datetime, timedelta, timezone

import pytest

from lean_lite.data.history.query import build_query
from lean_lite.errors import RequestError
from lean_lite.model import Resolution
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol.history import HistoryRequest

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def request_of(symbol: str, start: datetime, end: datetime, res: Resolution) -> HistoryRequest:
    return build_query(symbol, start, end, res).request


def test_a_naive_time_is_local() -> None:
    local = NOON.astimezone().replace(tzinfo=None)
    utc = request_of("SPY", NOON, NOON + timedelta(hours=1), Resolution.MINUTE)
    assert request_of("SPY", local, local + timedelta(hours=1), Resolution.MINUTE) == utc
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert request_of("SPY", tokyo, tokyo + timedelta(hours=1), Resolution.MINUTE) == utc
    assert utc.end_ns - utc.start_ns == 3_600_000_000_000


@pytest.mark.parametrize(
    "resolution",
    [
        Resolution.TICK,
        Resolution.SECOND,
        Resolution("90s"),
        Resolution("36h"),
        Resolution("1500min"),
    ],
)
def test_a_resolution_that_stored_bars_can_not_be_folded_into_is_invalid(
    resolution: Resolution,
) -> None:
    with pytest.raises(RequestError, match="expected whole minutes") as caught:
        request_of("SPY", NOON, NOON, resolution)
    assert caught.value.code == "resolution"


@pytest.mark.parametrize(
    ("resolution", "base", "first", "end"),
    [
        ("hour", "minute", "2026-11-23T13:00", "2026-11-23T16:00"),
        ("4h", "minute", "2026-11-23T13:00", "2026-11-23T17:00"),
        ("7d", "daily", "2026-11-30T05:00", "2026-11-30T05:00"),
    ],
)
def test_longer_bars_are_folded_from_complete_buckets(
    resolution: str, base: str, first: str, end: str
) -> None:
    start = datetime(2026, 11, 23, 12, 1, tzinfo=UTC)
    query = build_query("SPY", start, start + timedelta(hours=3), Resolution(resolution))
    assert not query.is_stored
    assert query.request.resolution_s == Resolution(base).seconds
    assert f"{from_ns(query.request.start_ns):%Y-%m-%dT%H:%M}" == first
    assert f"{from_ns(query.request.end_ns):%Y-%m-%dT%H:%M}" == end


@pytest.mark.parametrize(
    ("resolution", "settled"),
    [
        ("minute", "2026-11-23T12:30"),
        ("hour", "2026-11-23T13:00"),
        ("daily", "2026-11-24T14:00"),
        ("7d", "2026-11-30T14:00"),
    ],
)
def test_a_span_is_settled_by_a_bar_after_its_last_one(resolution: str, settled: str) -> None:
    end = NOON + timedelta(minutes=30)
    query = build_query("SPY", NOON - timedelta(days=30), end, Resolution(resolution))
    assert query.symbol == "SPY"
    assert f"{from_ns(query.settled_ns):%Y-%m-%dT%H:%M}" == settled


@pytest.mark.parametrize("resolution", [Resolution.MINUTE, Resolution.DAILY])
def test_stored_resolutions_are_requested_in_seconds(resolution: Resolution) -> None:
    assert request_of("SPY", NOON, NOON, resolution).resolution_s == resolution.seconds


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(RequestError, match="swap them") as caught:
        request_of("SPY", NOON, NOON - timedelta(seconds=1), Resolution.MINUTE)
    assert caught.value.code == "span"
