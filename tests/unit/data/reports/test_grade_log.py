import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from lean_lite.data import Bars
from lean_lite.data.reports.grade_log import KEPT, SPARE, GradeLog
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
    """Return the log of some live bars, in which it is so many minutes after the open."""
    log = GradeLog("SPY", lambda: at(now))
    note(log, *minutes, **values)
    return log


def note(log: GradeLog, *minutes: int, **values: Any) -> None:
    for minute in minutes:
        log.add(live_bar(start_ns=at(minute), **values))


def stored(minutes: Iterable[int], level: int = 4, *gaps: Gap, simulated: bool = False) -> Bars:
    """Return stored bars of one grade."""
    block = block_of([Row(start_ns=at(minute)) for minute in minutes], simulated=simulated)
    rows = len(block)
    graded = {"level": np.full(rows, level, "|u1"), "reasons": np.zeros(rows, "<u8")}
    return Bars(block.with_columns(**graded), gaps)


def test_the_last_hours_end_now() -> None:
    found = log_of(-1, 0, 59, 60, now=60).report(1)
    assert (found["start"], found["end"]) == (
        "2026-11-24T14:30:00+00:00",
        "2026-11-24T15:30:00+00:00",
    )
    assert (found["bars"], found["expected"]) == (2, 60)
    assert found["symbol"] == "SPY"


def test_the_last_hours_of_a_simulated_market_end_with_its_newest_bar() -> None:
    log = log_of(0, 99, 30, now=10_000, simulated=True)
    found = log.report(1)
    assert found["end"] == "2026-11-24T16:10:00+00:00"
    assert found["bars"] == 1
    assert log.report(1 + 10 / 60)["bars"] == 2


def test_invalid_bars_count_in_the_score_and_not_as_bars() -> None:
    log = log_of(0, now=60)
    note(log, 1, level=0, reasons=Check.B02_OHLC.mask)
    found = log.report(1)
    assert (found["average_quality_score"], found["bars"]) == (0.5, 1)
    assert found["reasons"] == {"B02_OHLC": 1}


def test_a_later_version_takes_the_place_of_a_mark() -> None:
    log = log_of(0, 1, level=1)
    note(log, 0, level=4, late=True)
    assert log.report(1)["levels"] == {
        "EXCELLENT": 1,
        "GOOD": 0,
        "FAIR": 0,
        "POOR": 1,
        "INVALID": 0,
    }


def test_an_invalid_repeat_leaves_a_good_bar_its_mark() -> None:
    log = log_of(0, 1, 2, 3)
    note(log, 0, level=0, reasons=Check.B02_OHLC.mask)
    found = log.report(1)
    assert (found["bars"], found["levels"]["EXCELLENT"], found["levels"]["INVALID"]) == (4, 4, 1)
    assert found["completeness"] == 4 / 60


def test_a_bar_of_the_future_that_is_invalid_moves_no_time() -> None:
    log = log_of(3, simulated=True)
    note(log, 10_000, level=0, reasons=Check.B10_FUTURE.mask, simulated=True)
    assert log.report(1)["end"] == "2026-11-24T14:34:00+00:00"


def test_it_is_told_since_when_invalid_bars_are_counted() -> None:
    log = GradeLog("SPY", lambda: at(60))
    log.seed(stored(range(3)))
    assert log.report(1)["invalid_since"] == "2026-11-24T15:30:00+00:00"
    log.seed(stored(range(3), simulated=True))
    assert log.report(1)["invalid_since"] == "2026-11-24T14:33:00+00:00"
    assert log_of(5, simulated=True).report(1)["invalid_since"] == "2026-11-24T14:35:00+00:00"


def test_what_is_known_of_the_past_gives_way_to_what_came_live() -> None:
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


def test_a_log_of_nothing_reports_nothing() -> None:
    found = GradeLog("SPY", lambda: at(60)).report(1)
    assert (found["bars"], found["average_quality_score"], found["expected"]) == (0, None, 60)


def test_the_newest_bars_are_kept_in_whatever_order_they_come() -> None:
    minutes = list(range(KEPT + 3 * SPARE))
    random.Random(1).shuffle(minutes)
    log = log_of(*minutes, now=len(minutes))
    assert KEPT <= len(log._marks) <= KEPT + SPARE
    assert sorted(log._marks)[-KEPT:] == [
        at(minute) for minute in range(3 * SPARE, KEPT + 3 * SPARE)
    ]


def test_a_report_begins_no_earlier_than_what_is_remembered() -> None:
    log = GradeLog("BTC/USD", lambda: at(KEPT + SPARE + 1))
    log.seed(stored(range(KEPT + SPARE + 1)))
    found = log.report(24 * 365)
    assert (found["bars"], found["expected"], found["completeness"]) == (KEPT, KEPT, 1.0)
    assert found["start"] == "2026-11-25T07:11:00+00:00"


def test_a_report_begins_where_the_past_is_known_and_names_what_is_not_stored() -> None:
    log = log_of(now=60)
    early, late = (Gap("SPY", at(a), at(b), "not asked for") for a, b in ((-90, -60), (10, 20)))
    log.seed(stored(range(30, 60), 4, early, late), since_ns=at(0))
    found = log.report(24)
    assert found["start"] == "2026-11-24T14:30:00+00:00"
    assert (found["bars"], found["expected"]) == (30, 60)
    assert [(gap["start"][11:16], gap["reason"]) for gap in found["gaps"]] == [
        ("14:40", "not asked for")
    ]


def test_hours_may_reach_beyond_all_time() -> None:
    assert log_of(0).report(1e12)["start"] == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_hours_are_above_nought(hours: float) -> None:
    with pytest.raises(ValueError, match=f"no report of the last {hours!r} hours: give a number"):
        log_of(0).report(hours)
