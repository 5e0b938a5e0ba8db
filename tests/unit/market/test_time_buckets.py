from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.market.calendar import calendar_of
from lean_lite.market.sessions import read_table
from lean_lite.market.time_buckets import TimeBuckets, overlaps_regular_session
from lean_lite.model.timestamps import DAY_NS, SECOND_NS

CLASSES = ("equity", "crypto", "forex")
NEW_YORK = ZoneInfo("America/New_York")
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
WITHIN_A_DAY_S = (1, 7, 60, 300, 420, 1_800, HOUR_S, 5_400, 7_200, 14_400, 18_000, 50_000, DAY_S)
DAYS_S = (DAY_S, 2 * DAY_S, 7 * DAY_S, 30 * DAY_S)


def sunday(year: int, month: int, number: int) -> date:
    """Return a Sunday of a month by its number."""
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (number - 1))


def clock_changes(year: int) -> tuple[date, date]:
    """Return the Sundays on which the clocks of New York change."""
    if year < 2007:
        october = date(year, 10, 31)
        return sunday(year, 4, 1), october - timedelta(days=(october.weekday() + 1) % 7)
    return sunday(year, 3, 2), sunday(year, 11, 1)


CHANGES = [day for year in range(1996, 2028) for day in clock_changes(year)]
HALF_DAYS = sorted(read_table().half)

classes = st.sampled_from(CLASSES)
days = st.builds(
    lambda day, away: day + timedelta(days=away),
    st.sampled_from(CHANGES) | st.sampled_from(HALF_DAYS),
    st.integers(-3, 3),
)
instants = st.builds(
    lambda day, within_ns: ns(f"{day}") + within_ns, days, st.integers(0, DAY_NS - 1)
) | st.builds(
    lambda day, minute: ns(f"{day}") + minute * 60 * SECOND_NS, days, st.integers(0, 1439)
)
lengths_s = st.sampled_from(sorted({*WITHIN_A_DAY_S, *DAYS_S}))


def ns(text: str, zone: ZoneInfo | None = None) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=zone or UTC)
    return int(local.timestamp()) * SECOND_NS


def clock(at_ns: int) -> datetime:
    """Return the local time in New York, rounded down to seconds."""
    return datetime.fromtimestamp(at_ns // SECOND_NS, NEW_YORK)


def day_of(name: str, at_ns: int) -> date:
    """Return the trading day of a time, by wall clocks alone."""
    if name == "crypto":
        return datetime.fromtimestamp(at_ns // SECOND_NS, UTC).date()
    local = clock(at_ns)
    return local.date() + timedelta(days=name == "forex" and local.time() >= time(17))


def start_of_day(name: str, day: date) -> int:
    match name:
        case "crypto":
            return ns(f"{day}")
        case "forex":
            return ns(f"{day - timedelta(days=1)} 17:00", NEW_YORK)
    return ns(f"{day}", NEW_YORK)


def test_clocks_change_on_the_days_of_these_tests() -> None:
    for day in CHANGES:
        offsets = {datetime.combine(day, time(hour), NEW_YORK).utcoffset() for hour in (0, 12)}
        assert len(offsets) == 2


@given(classes, st.sampled_from(WITHIN_A_DAY_S), instants)
def test_buckets_count_from_the_start_of_the_trading_day(
    name: str, length_s: int, at_ns: int
) -> None:
    day_start_ns, length_ns = start_of_day(name, day_of(name, at_ns)), length_s * SECOND_NS
    since_ns = at_ns - day_start_ns
    # A day of 25 hours is one bar of a day.
    count = 0 if length_s == DAY_S else since_ns // length_ns
    assert TimeBuckets(name, length_s).start(at_ns) == day_start_ns + count * length_ns


@given(instants)
def test_an_hour_of_an_equity_is_an_hour_of_the_clock(at_ns: int) -> None:
    hour = clock(at_ns).replace(minute=0, second=0)
    start_ns = TimeBuckets("equity", HOUR_S).start(at_ns)
    assert clock(start_ns) == hour
    assert clock(start_ns).fold == hour.fold


@given(classes, lengths_s, instants)
def test_every_time_lies_in_one_bucket(name: str, length_s: int, at_ns: int) -> None:
    buckets = TimeBuckets(name, length_s)
    start_ns = buckets.start(at_ns)
    end_ns = buckets.end(start_ns)
    assert start_ns <= at_ns < end_ns
    assert [buckets.start(one) for one in (start_ns, end_ns - 1, end_ns)] == [
        start_ns,
        start_ns,
        end_ns,
    ]
    assert buckets.start(start_ns - 1) < start_ns


@given(classes, st.sampled_from(WITHIN_A_DAY_S), instants)
def test_no_bucket_crosses_a_trading_day(name: str, length_s: int, at_ns: int) -> None:
    buckets = TimeBuckets(name, length_s)
    start_ns = buckets.start(at_ns)
    end_ns = buckets.end(start_ns)
    assert day_of(name, start_ns) == day_of(name, end_ns - 1) == day_of(name, at_ns)
    assert end_ns - start_ns <= length_s * SECOND_NS + (DAY_NS // 24 if length_s == DAY_S else 0)


@given(classes, st.sampled_from(DAYS_S), instants)
def test_buckets_of_days_start_with_a_trading_day_and_weeks_on_monday(
    name: str, length_s: int, at_ns: int
) -> None:
    buckets = TimeBuckets(name, length_s)
    start_ns = buckets.start(at_ns)
    first, last = day_of(name, start_ns), day_of(name, buckets.end(start_ns) - 1)
    assert start_ns == start_of_day(name, first)
    assert (last - first).days + 1 == length_s // DAY_S
    assert (first - date(1970, 1, 5)).days % (length_s // DAY_S) == 0
    assert length_s % (7 * DAY_S) or first.weekday() == 0


@given(
    name=classes,
    length_s=lengths_s,
    at_ns=st.lists(instants, max_size=30),
    ordered=st.booleans(),
)
def test_starts_of_many_times_equal_those_of_each(
    name: str, length_s: int, at_ns: list[int], *, ordered: bool
) -> None:
    buckets = TimeBuckets(name, length_s)
    times = sorted(at_ns) if ordered else at_ns
    assert buckets.starts(times).tolist() == [buckets.start(time_ns) for time_ns in times]


@given(classes, st.sampled_from([420, 1_800, HOUR_S, 14_400, 50_000, DAY_S]), instants)
def test_starts_of_a_week_of_minutes_equal_those_of_each(
    name: str, length_s: int, first_ns: int
) -> None:
    buckets = TimeBuckets(name, length_s)
    times = first_ns + np.arange(0, 7 * DAY_NS, 60 * SECOND_NS)
    starts = buckets.starts(times)
    for index in range(0, len(times), 997):
        assert starts[index] == buckets.start(int(times[index]))


@given(
    classes,
    st.sampled_from([420, 1_800, HOUR_S, 5_400, 14_400, 50_000, *DAYS_S]),
    instants,
    st.integers(-1, 12 * DAY_NS),
)
def test_expected_equals_a_count_of_single_buckets(
    name: str, length_s: int, from_ns: int, span_ns: int
) -> None:
    buckets, calendar = TimeBuckets(name, length_s), calendar_of(name)
    until_ns = from_ns + span_ns
    counted, start_ns = 0, buckets.start(from_ns)
    while start_ns < until_ns:
        end_ns = buckets.end(start_ns)
        if start_ns >= from_ns and calendar.spans(start_ns, end_ns, extended=False):
            counted += 1
        start_ns = end_ns
    assert buckets.expected(from_ns, until_ns) == counted


@pytest.mark.parametrize(
    ("name", "start", "end", "length_s", "expected"),
    [
        # The buckets of 8:00 and 12:00, on the day before Thanksgiving and on the half day after.
        ("equity", "2026-11-25 05:00", "2026-11-28 05:00", 14_400, 4),
        # The week starts in the span, although its first session opens after it.
        ("equity", "2026-11-23 05:00", "2026-11-23 05:01", 7 * DAY_S, 1),
        ("equity", "2026-11-23 05:01", "2026-11-28 05:00", 7 * DAY_S, 0),
        ("equity", "2026-11-24 05:00", "2026-11-24 05:01", 43_200, 1),
        ("crypto", "2026-11-23", "2026-11-30", 18_000, 7 * 5),
        ("forex", "2026-11-20 22:00", "2026-11-27 22:00", 5_400, 5 * 16),
    ],
)
def test_expected_equals_known_examples(
    name: str, start: str, end: str, length_s: int, expected: int
) -> None:
    assert TimeBuckets(name, length_s).expected(ns(start), ns(end)) == expected


@pytest.mark.parametrize(
    ("length_s", "start", "extended", "trading"),
    [
        (HOUR_S, "09:00", False, ("09:30", "10:00")),
        (HOUR_S, "09:00", True, ("09:00", "10:00")),
        (HOUR_S, "12:00", False, ("12:00", "13:00")),
        (HOUR_S, "13:00", False, None),
        (HOUR_S, "16:00", True, ("16:00", "17:00")),
        (HOUR_S, "17:00", True, None),
        (HOUR_S, "03:00", True, None),
        (14_400, "12:00", False, ("12:00", "13:00")),
        (DAY_S, "00:00", False, ("09:30", "13:00")),
        (DAY_S, "00:00", True, ("04:00", "17:00")),
    ],
)
def test_trading_in_a_bucket_of_a_half_day_ends_at_13_or_17(
    length_s: int, start: str, trading: tuple[str, str] | None, *, extended: bool
) -> None:
    found = TimeBuckets("equity", length_s).trading(
        ns(f"2026-11-27 {start}", NEW_YORK), extended=extended
    )
    assert found == (trading and tuple(ns(f"2026-11-27 {one}", NEW_YORK) for one in trading))


@given(classes, st.lists(instants, max_size=20), st.sampled_from([1, 60, 420, HOUR_S, DAY_S]))
def test_a_span_is_regular_if_it_overlaps_a_regular_session(
    name: str, starts: list[int], length_s: int
) -> None:
    starts_ns = np.array(starts, np.int64)
    ends_ns = starts_ns + length_s * SECOND_NS
    expected = [
        bool(calendar_of(name).spans(start, end, extended=False))
        for start, end in zip(starts_ns.tolist(), ends_ns.tolist(), strict=True)
    ]
    assert overlaps_regular_session(name, starts_ns, ends_ns).tolist() == expected
    buckets = TimeBuckets(name, length_s)
    assert expected == [
        buckets.is_regular(*span) for span in zip(starts_ns.tolist(), ends_ns.tolist(), strict=True)
    ]


@pytest.mark.parametrize("length_s", [-60, 0, 90_000, 36 * HOUR_S])
def test_a_fraction_of_days_is_an_error(length_s: int) -> None:
    with pytest.raises(ValueError, match=f"invalid bucket length {length_s} s: use up to a day"):
        TimeBuckets("equity", length_s)


def test_an_unknown_asset_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid asset class 'bonds'"):
        TimeBuckets("bonds", HOUR_S)
