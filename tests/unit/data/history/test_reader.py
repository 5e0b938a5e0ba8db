from datetime import UTC, datetime, timedelta

import pytest

from lean_lite.data.history.reader import parse_since
from lean_lite.model.timestamps import to_ns


def test_a_stream_begins_at_a_moment_or_so_long_ago() -> None:
    moment = datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert parse_since(None) is None
    assert parse_since(moment) == to_ns(moment)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert parse_since(timedelta(hours=1)) == pytest.approx(to_ns(hour_ago), abs=10**10)


@pytest.mark.parametrize("since", [timedelta(days=-1), datetime(9000, 1, 1, tzinfo=UTC)])
def test_no_stream_begins_in_the_future(since: datetime | timedelta) -> None:
    with pytest.raises(ValueError, match="yet to come: give a moment of the past"):
        parse_since(since)
