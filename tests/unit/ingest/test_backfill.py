from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from lean_lite.market.sessions import CHICAGO, NEW_YORK, instant
from lean_lite.model.resolution import STORED
from lean_lite.model.timestamps import SECOND_NS, from_ns, to_ns
from lean_lite_ingest.alpaca.rest import TIMEFRAMES
from lean_lite_ingest.backfill import SLICE_NS, final_ns

DAY_S = 86_400
HOUR_NS = 3_600 * SECOND_NS
# With a day of 23 hours and one of 25.
SPAN = to_ns(datetime(2026, 3, 1, tzinfo=UTC)), to_ns(datetime(2026, 11, 30, tzinfo=UTC))


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))


def test_every_stored_resolution_has_a_slice_and_a_timeframe_of_alpaca() -> None:
    assert set(TIMEFRAMES) == set(STORED)
    assert set(SLICE_NS) == {resolution.seconds for resolution in STORED}


def test_a_minute_is_final_once_it_has_ended() -> None:
    assert final_ns(ns("2026-11-24T14:31:40+00:00"), 60) == ns("2026-11-24T14:31:00+00:00")


def test_the_day_before_is_final_when_the_market_opens() -> None:
    until_ns = final_ns(ns("2026-11-24T14:30:00+00:00"), DAY_S)
    assert ns("2026-11-23T05:00:00+00:00") < until_ns <= ns("2026-11-24T05:00:00+00:00")


@given(st.sampled_from([NEW_YORK, CHICAGO]), st.integers(*SPAN))
def test_a_day_is_final_within_three_hours_of_its_end_and_not_before(
    zone: ZoneInfo, now_ns: int
) -> None:
    until_ns = final_ns(now_ns, DAY_S)
    today = from_ns(now_ns).date()
    for days in range(-3, 2):
        day = today + timedelta(days=days)
        start_ns = instant(day, time.min, zone)
        end_ns = instant(day + timedelta(days=1), time.min, zone)
        if start_ns < until_ns:
            assert end_ns <= now_ns
        else:
            assert now_ns < end_ns + 3 * HOUR_NS
