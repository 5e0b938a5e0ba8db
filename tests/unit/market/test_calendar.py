import logging
import subprocess
import sys
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.market.calendar import Calendar, calendar_of
from lean_lite.market.sessions import SessionTable, equity_sessions
from lean_lite.model.timestamps import DAY_NS

CLASSES = ("equity", "crypto", "forex")
RESOLUTIONS_S = (1, 60, 300, 900, 3_600, 86_400)

classes = st.sampled_from(CLASSES)
resolutions_s = st.sampled_from(RESOLUTIONS_S)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


# Times in the years of the table and beyond both ends, and at the edges of sessions.
EDGES = [
    edge
    for name in CLASSES
    for session in calendar_of(name).sessions(ns("2026-10-25"), ns("2027-01-05"))
    for edge in session[1:]
]
instants = st.integers(ns("1992-12-01"), ns("2028-11-01")) | st.sampled_from(EDGES)


def spans_of(longest_days: int) -> st.SearchStrategy[tuple[int, int]]:
    lengths = st.integers(0, longest_days * DAY_NS)
    return st.tuples(instants, lengths).map(lambda t: (t[0], t[0] + t[1]))


weeks, years = spans_of(14), spans_of(800)


@given(name=classes, requested=weeks | years, extended=st.booleans())
def test_spans_ascend_do_not_touch_and_lie_within_the_request(
    name: str, requested: tuple[int, int], *, extended: bool
) -> None:
    start_ns, end_ns = requested
    edges = [
        edge
        for span in calendar_of(name).spans(start_ns, end_ns, extended=extended)
        for edge in span
    ]
    assert all(edge < following for edge, following in pairwise(edges))
    assert all(start_ns <= edge <= end_ns for edge in edges)


@given(name=classes, requested=weeks | years, instant_ns=instants, extended=st.booleans())
def test_a_time_lies_in_a_span_exactly_if_there_is_trading(
    name: str, requested: tuple[int, int], instant_ns: int, *, extended: bool
) -> None:
    start_ns, end_ns = requested
    calendar = calendar_of(name)
    within = any(
        first <= instant_ns < last
        for first, last in calendar.spans(start_ns, end_ns, extended=extended)
    )
    in_request = start_ns <= instant_ns < end_ns
    assert within == (in_request and calendar.is_open(instant_ns, extended=extended))


@given(classes, years)
def test_sessions_do_not_overlap_and_contain_their_regular_trading(
    name: str, requested: tuple[int, int]
) -> None:
    sessions = calendar_of(name).sessions(*requested)
    for before, after in pairwise(sessions):
        assert before.day < after.day
        assert before.label_ns < after.label_ns
        assert before.post_ns <= after.pre_ns
    for session in sessions:
        assert session.pre_ns <= session.open_ns < session.close_ns <= session.post_ns


@given(classes, weeks | years, st.fractions(0, 1), resolutions_s)
def test_expected_bars_of_adjacent_spans_add_up(
    name: str, requested: tuple[int, int], part: Fraction, resolution_s: int
) -> None:
    start_ns, end_ns = requested
    middle_ns = start_ns + int((end_ns - start_ns) * part)
    expect = calendar_of(name).expected
    assert expect(start_ns, end_ns, resolution_s) == (
        expect(start_ns, middle_ns, resolution_s) + expect(middle_ns, end_ns, resolution_s)
    )


@given(classes, weeks, st.sampled_from([600, 1_800, 3_600]))
def test_expected_counts_bars_that_overlap_a_regular_session(
    name: str, requested: tuple[int, int], resolution_s: int
) -> None:
    start_ns, end_ns = requested
    length_ns = resolution_s * 1_000_000_000
    calendar = calendar_of(name)
    first_ns = -(start_ns // -length_ns) * length_ns
    counted = sum(
        bool(calendar.spans(bar_ns, bar_ns + length_ns, extended=False))
        for bar_ns in range(first_ns, end_ns, length_ns)
    )
    assert calendar.expected(start_ns, end_ns, resolution_s) == counted


@given(st.dates(date(1993, 1, 1), date(2028, 11, 30)))
def test_a_session_of_equities_expects_390_minutes_or_210(day: date) -> None:
    start_ns = ns(day.isoformat())
    calendar = calendar_of("equity")
    for session in calendar.sessions(start_ns, start_ns + DAY_NS):
        minutes = calendar.expected(session.pre_ns, session.post_ns, 60)
        assert minutes == calendar.expected(session.open_ns, session.close_ns, 60)
        assert minutes == (210 if session.close_ns - session.open_ns < DAY_NS / 6 else 390)


@pytest.mark.parametrize(
    ("name", "start", "end", "resolution_s", "expected"),
    [
        # The week of Thanksgiving: three full sessions and a half one.
        ("equity", "2026-11-23", "2026-11-30", 60, 3 * 390 + 210),
        ("equity", "2026-11-23", "2026-11-30", 86_400, 4),
        ("equity", "2026-11-23", "2026-11-30", 3_600, 3 * 7 + 4),
        ("equity", "2026-11-23", "2026-11-30", 1, 60 * (3 * 390 + 210)),
        # A day counts when its label, midnight in New York, lies in the span.
        ("equity", "2026-11-27 05:00", "2026-11-27 05:01", 86_400, 1),
        ("equity", "2026-11-27 05:01", "2026-11-28 05:00", 86_400, 0),
        ("equity", "2026-11-25 05:00", "2026-11-26 05:00", 86_400, 1),
        # The hour of 9:00 holds the open, although it starts before.
        ("equity", "2026-11-24 14:00", "2026-11-24 15:00", 3_600, 1),
        ("equity", "2026-11-24 14:01", "2026-11-24 15:00", 3_600, 0),
        ("equity", "2026-11-24 20:59", "2026-11-24 23:00", 60, 1),
        ("equity", "2026-01-01", "2027-01-01", 86_400, 251),
        ("crypto", "2026-11-23", "2026-11-30", 60, 7 * 1_440),
        ("crypto", "2026-11-01", "2026-11-02", 60, 1_440),
        ("crypto", "2026-11-23", "2026-11-30", 86_400, 7),
        ("crypto", "2026-11-24 06:00", "2026-11-24 06:01", 86_400, 1),
        ("forex", "2026-11-21", "2026-11-28", 60, 5 * 1_440),
        ("forex", "2026-11-21", "2026-11-28", 86_400, 5),
        ("forex", "2026-11-27 21:59", "2026-11-29 22:01", 60, 2),
        # Clocks change while forex is closed.
        ("forex", "2026-03-06 21:59", "2026-03-08 21:01", 60, 2),
    ],
)
def test_expected_equals_known_examples(
    name: str, start: str, end: str, resolution_s: int, expected: int
) -> None:
    assert calendar_of(name).expected(ns(start), ns(end), resolution_s) == expected


@pytest.mark.parametrize(
    ("instant", "regular", "extended"),
    [
        ("2026-11-24 08:59:59", False, False),
        ("2026-11-24 09:00", False, True),
        ("2026-11-24 14:29:59", False, True),
        ("2026-11-24 14:30", True, True),
        ("2026-11-24 20:59:59", True, True),
        ("2026-11-24 21:00", False, True),
        ("2026-11-25 00:59:59", False, True),
        ("2026-11-25 01:00", False, False),
        ("2026-11-26 15:00", False, False),
        ("2026-11-27 18:00", False, True),
        ("2026-11-27 22:00", False, False),
        ("2026-11-28 15:00", False, False),
    ],
)
def test_equities_are_open_by_the_clock_of_new_york(
    instant: str, *, regular: bool, extended: bool
) -> None:
    assert calendar_of("equity").is_open(ns(instant)) is regular
    assert calendar_of("equity").is_open(ns(instant), extended=True) is extended


def test_crypto_has_one_span_in_any_request() -> None:
    requested = ns("2026-03-07 01:02:03"), ns("2026-11-02 04:05:06")
    assert calendar_of("crypto").spans(*requested) == [requested]


def test_forex_has_one_span_a_week_also_at_the_turn_of_the_year() -> None:
    assert calendar_of("forex").spans(ns("2026-12-26"), ns("2027-01-09")) == [
        (ns("2026-12-27 22:00"), ns("2027-01-01 22:00")),
        (ns("2027-01-03 22:00"), ns("2027-01-08 22:00")),
    ]


def test_spans_are_cut_to_the_request() -> None:
    calendar = calendar_of("equity")
    start_ns, end_ns = ns("2026-11-24 15:00"), ns("2026-11-25 10:00")
    night = ns("2026-11-25 01:00"), ns("2026-11-25 09:00")
    assert calendar.spans(start_ns, end_ns) == [(start_ns, night[0]), (night[1], end_ns)]
    assert calendar.spans(start_ns, end_ns, extended=False) == [(start_ns, ns("2026-11-24 21:00"))]


@pytest.mark.parametrize("name", CLASSES)
def test_an_empty_span_has_no_sessions(name: str) -> None:
    calendar, start_ns = calendar_of(name), ns("2026-11-24 15:00")
    for end_ns in (start_ns, start_ns - DAY_NS):
        assert calendar.sessions(start_ns, end_ns) == []
        assert calendar.spans(start_ns, end_ns) == []
        assert [calendar.expected(start_ns, end_ns, s) for s in RESOLUTIONS_S] == [0] * 6


@pytest.mark.parametrize("resolution_s", [-60, 0, 7, 7_200, 604_800])
def test_a_resolution_that_does_not_divide_an_hour_is_an_error(resolution_s: int) -> None:
    with pytest.raises(ValueError, match=f"bars of {resolution_s} s: use a"):
        calendar_of("equity").expected(0, DAY_NS, resolution_s)


def test_an_unknown_asset_class_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="invalid asset class 'bonds': expected equity, crypto or forex"
    ):
        calendar_of("bonds")


@pytest.mark.parametrize("name", CLASSES)
def test_there_is_one_calendar_of_an_asset_class(name: str) -> None:
    assert calendar_of(name) is calendar_of(name)


def ending_calendar() -> Calendar:
    """Return a calendar whose table ends on Friday, 27 November 2026."""
    table = SessionTable(
        date(2026, 1, 1), date(2026, 11, 27), frozenset({date(2026, 11, 26)}), frozenset()
    )
    return Calendar(partial(equity_sessions, table=table), until_ns=ns("2026-11-28 05:00"))


def test_beyond_the_table_weekdays_are_full_sessions_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calendar = ending_calendar()
    christmas = ns("2026-12-20"), ns("2026-12-27")
    assert calendar.expected(*christmas, 60) == 5 * 390
    assert calendar.expected(*christmas, 86_400) == 5
    assert len(calendar.spans(*christmas)) == 5
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == (
        "the table of sessions ends on 2026-11-27; later weekdays count as full sessions: "
        "upgrade lean-lite or run `make sessions`"
    )


@pytest.mark.parametrize(("end", "count"), [("2026-10-29 04:00", 0), ("2026-10-30", 1)])
def test_the_warning_comes_30_days_before_the_table_ends(
    caplog: pytest.LogCaptureFixture, end: str, count: int
) -> None:
    ending_calendar().spans(ns("2026-10-26"), ns(end))
    assert len(caplog.records) == count


@pytest.mark.parametrize("name", ["crypto", "forex"])
def test_calendars_without_a_table_never_warn(caplog: pytest.LogCaptureFixture, name: str) -> None:
    calendar = calendar_of(name)
    assert calendar.spans(calendar.since_ns, calendar.until_ns)
    assert (calendar.since_ns, calendar.until_ns) == (-(2**63), 2**63 - 1)
    assert not caplog.records


def test_the_calendar_has_the_bounds_of_its_table() -> None:
    calendar = calendar_of("equity")
    assert calendar.since_ns == ns("1993-01-01 05:00")
    assert calendar.until_ns >= ns("2027-11-24")


def test_the_calendar_needs_no_pandas_at_run_time() -> None:
    code = (
        "from lean_lite.market.calendar import calendar_of; import sys; calendar_of('equity');"
        "print({'numpy', 'pandas', 'exchange_calendars'} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
