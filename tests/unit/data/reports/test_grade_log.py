import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from lean_lite.data import Bars
from lean_lite.data.reports.grade_log import BOUND, SPARE, GradeLog
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.history import Gap
from lean_lite.quality import Check
from tests.harness.bars import Row, block_of, live_bar

MINUTE_NS = 60 * SECOND_NS
# A Tuesday; 14:30 UTC is 9:30 in New York.
OPEN_NS = to_ns(datetime(2026, 11, 24, 14, 30, tzinfo=UTC))


def at(minute: int) -> int:
    return OPEN_NS + minute * MINUTE_NS


def log_of(*minutes: int, now: int = 60, **values: Any) -> GradeLog:
    """Return a log of live records at the given minutes after the open."""
    log = GradeLog("SPY", lambda: at(now))
    add(log, *minutes, **values)
    return log


def add(log: GradeLog, *minutes: int, **values: Any) -> None:
    for minute in minutes:
        log.add(live_bar(start_ns=at(minute), **values))


def stored(minutes: Iterable[int], level: int = 4, *gaps: Gap, simulated: bool = False) -> Bars:
    """Return stored bars of one level."""
    block = block_of([Row(start_ns=at(minute)) for minute in minutes], simulated=simulated)
    rows = len(block)
    graded = {"level": np.full(rows, level, "|u1"), "reasons": np.zeros(rows, "<u8")}
    return Bars(block.with_columns(**graded), gaps)


def test_a_report_of_the_last_hours_ends_now() -> None:
    found = log_of(-1, 0, 59, 60, now=60).report(1)
    assert (found["start"], found["end"]) == (
        "2026-11-24T14:30:00+00:00",
        "2026-11-24T15:30:00+00:00",
    )
    assert (found["bars"], found["expected"]) == (2, 60)
    assert found["symbol"] == "SPY"


def test_a_report_of_a_simulated_market_ends_with_its_newest_bar() -> None:
    log = log_of(0, 99, 30, now=10_000, simulated=True)
    found = log.report(1)
    assert found["end"] == "2026-11-24T16:10:00+00:00"
    assert found["bars"] == 1
    assert log.report(1 + 10 / 60)["bars"] == 2


def test_invalid_bars_count_in_the_score_and_not_as_bars() -> None:
    log = log_of(0, now=60)
    add(log, 1, level=0, reasons=Check.B02_OHLC.mask)
    found = log.report(1)
    assert (found["average_quality_score"], found["bars"]) == (0.5, 1)
    assert found["reasons"] == {"B02_OHLC": 1}


def test_a_later_version_replaces_a_grade() -> None:
    log = log_of(0, 1, level=1)
    add(log, 0, level=4, late=True)
    assert log.report(1)["levels"] == {
        "EXCELLENT": 1,
        "GOOD": 0,
        "FAIR": 0,
        "POOR": 1,
        "INVALID": 0,
    }


def test_an_invalid_repeat_does_not_replace_the_grade_of_a_good_bar() -> None:
    log = log_of(0, 1, 2, 3)
    add(log, 0, level=0, reasons=Check.B02_OHLC.mask)
    found = log.report(1)
    assert (found["bars"], found["levels"]["EXCELLENT"], found["levels"]["INVALID"]) == (4, 4, 1)
    assert found["completeness"] == 4 / 60


def test_an_invalid_bar_from_the_future_does_not_move_the_end() -> None:
    log = log_of(3, simulated=True)
    add(log, 10_000, level=0, reasons=Check.B10_FUTURE.mask, simulated=True)
    assert log.report(1)["end"] == "2026-11-24T14:34:00+00:00"


def test_invalid_since_is_the_time_from_which_invalid_bars_are_counted() -> None:
    log = GradeLog("SPY", lambda: at(60))
    log.seed(stored(range(3)))
    assert log.report(1)["invalid_since"] == "2026-11-24T15:30:00+00:00"
    log.seed(stored(range(3), simulated=True))
    assert log.report(1)["invalid_since"] == "2026-11-24T14:33:00+00:00"
    assert log_of(5, simulated=True).report(1)["invalid_since"] == "2026-11-24T14:35:00+00:00"


def test_live_grades_replace_stored_ones() -> None:
    log = log_of(1, level=4)
    log.seed(stored(range(3), 2))
    assert log.report(1)["levels"]["FAIR"] == 2
    assert log.report(1)["levels"]["EXCELLENT"] == 1


def test_a_seed_may_be_of_a_simulated_market() -> None:
    log = log_of(now=10_000)
    log.seed(stored([5], simulated=True))
    assert log.report(1)["end"] == "2026-11-24T14:36:00+00:00"


def test_longer_bars_are_expected_by_their_own_length() -> None:
    log = log_of(0, 5, 10, now=15, resolution_s=300)
    found = log.report(0.25)
    assert (found["bars"], found["expected"], found["completeness"]) == (3, 3, 1.0)


def test_an_empty_log_reports_no_bars() -> None:
    found = GradeLog("SPY", lambda: at(60)).report(1)
    assert (found["bars"], found["average_quality_score"], found["expected"]) == (0, None, 60)


def test_the_newest_bars_are_remembered_in_any_order_of_arrival() -> None:
    minutes = list(range(BOUND + 3 * SPARE))
    random.Random(1).shuffle(minutes)
    log = log_of(*minutes, now=len(minutes))
    assert BOUND <= len(log._grades) <= BOUND + SPARE
    assert sorted(log._grades)[-BOUND:] == [
        at(minute) for minute in range(3 * SPARE, BOUND + 3 * SPARE)
    ]


def test_a_report_starts_no_earlier_than_the_oldest_remembered_grade() -> None:
    log = GradeLog("BTC/USD", lambda: at(BOUND + SPARE + 1))
    log.seed(stored(range(BOUND + SPARE + 1)))
    found = log.report(24 * 365)
    assert (found["bars"], found["expected"], found["completeness"]) == (BOUND, BOUND, 1.0)
    assert found["start"] == "2026-11-25T07:11:00+00:00"


def test_a_report_starts_with_the_seeded_span_and_names_its_gaps() -> None:
    log = log_of(now=60)
    early, late = (Gap("SPY", at(a), at(b), "not requested") for a, b in ((-90, -60), (10, 20)))
    log.seed(stored(range(30, 60), 4, early, late), since_ns=at(0))
    found = log.report(24)
    assert found["start"] == "2026-11-24T14:30:00+00:00"
    assert (found["bars"], found["expected"]) == (30, 60)
    assert [(gap["start"][11:16], gap["reason"]) for gap in found["gaps"]] == [
        ("14:40", "not requested")
    ]


def test_a_report_of_too_many_hours_starts_in_1970() -> None:
    assert log_of(0).report(1e12)["start"] == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_hours_must_be_above_zero_and_finite(hours: float) -> None:
    with pytest.raises(ValueError, match=f"invalid hours {hours!r}: expected a number above 0"):
        log_of(0).report(hours)
