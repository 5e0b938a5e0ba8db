from datetime import UTC, datetime, timedelta, timezone

import pytest

from lean_lite.algorithm.data_models import Resolution
from lean_lite.data.span import request_of
from lean_lite.errors import RequestError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_naive_moment_is_local_time() -> None:
    local = NOON.astimezone().replace(tzinfo=None)
    wanted = request_of("SPY", NOON, NOON + timedelta(hours=1), Resolution.MINUTE)
    assert request_of("SPY", local, local + timedelta(hours=1), Resolution.MINUTE) == wanted
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert request_of("SPY", tokyo, tokyo + timedelta(hours=1), Resolution.MINUTE) == wanted
    assert wanted.end_ns - wanted.start_ns == 3_600_000_000_000


@pytest.mark.parametrize("resolution", [Resolution.TICK, Resolution.SECOND, Resolution.HOUR])
def test_a_resolution_that_is_not_stored_is_told_with_the_way_out(resolution: Resolution) -> None:
    with pytest.raises(RequestError, match=r"DataTransformer.*MINUTE") as caught:
        request_of("SPY", NOON, NOON, resolution)
    assert caught.value.code == "resolution"


@pytest.mark.parametrize("resolution", [Resolution.MINUTE, Resolution.DAILY])
def test_stored_resolutions_are_asked_for_by_their_seconds(resolution: Resolution) -> None:
    assert request_of("SPY", NOON, NOON, resolution).resolution_s == resolution.seconds


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(RequestError, match="exchange them") as caught:
        request_of("SPY", NOON, NOON - timedelta(seconds=1), Resolution.MINUTE)
    assert caught.value.code == "span"
