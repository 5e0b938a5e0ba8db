from datetime import UTC, datetime, timedelta

import pytest

from lean_lite.data.history.reader import parse_since
from lean_lite.model.timestamps import to_ns


def test_since_is_a_time_or_a_duration_before_now() -> None:
    time = datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert parse_since(None) is None
    assert parse_since(time) == to_ns(time)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert parse_since(timedelta(hours=1)) == pytest.approx(to_ns(hour_ago), abs=10**10)


@pytest.mark.parametrize("since", [timedelta(days=-1), datetime(9000, 1, 1, tzinfo=UTC)])
def test_since_in_the_future_is_refused(since: datetime | timedelta) -> None:
    with pytest.raises(ValueError, match="is in the future: expected a past time"):
        parse_since(since)
