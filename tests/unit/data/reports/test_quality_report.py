import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from lean_lite.blocks import empty_block
from lean_lite.data.bars import Bars
from lean_lite.data.reports.quality_report import BarGrade, build_report, grades_of, history_report
from lean_lite.model import Resolution
from lean_lite.model.timestamps import SECOND_NS, to_ns
from lean_lite.protocol.history import Gap
from lean_lite.quality import Check
from tests.harness.bars import Row, block_of

MINUTE_NS = 60 * SECOND_NS
# A Tuesday; 14:30 UTC is 9:30 in New York.
OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
OPEN_NS = to_ns(OPEN)
DAY = 24 * 60
EXCELLENT, GOOD, FAIR, POOR, INVALID = 4, 3, 2, 1, 0


def at(minute: int) -> int:
    return OPEN_NS + minute * MINUTE_NS


def grade(minute: int, level: int = EXCELLENT, *checks: Check) -> BarGrade:
    return BarGrade(at(minute), level, sum(check.mask for check in checks))


def report(*grades: BarGrade, span: tuple[int, int] = (0, 390), **options: Any) -> dict[str, Any]:
    symbol = options.pop("symbol", "SPY")
    return build_report(symbol, (at(span[0]), at(span[1])), grades, **options)


def test_a_report_has_the_figures_computed_by_hand() -> None:
    found = report(
        grade(0),
        grade(1, GOOD),
        grade(2, POOR, Check.B05_ZERO_VOLUME),
        grade(3, POOR, Check.B05_ZERO_VOLUME, Check.B06_FLAT_SPIKE),
        grade(4, INVALID, Check.B02_OHLC),
        gaps=[Gap("SPY", at(100), at(110), "not served")],
        invalid_since_ns=at(-1),
    )
    assert found == {
        "symbol": "SPY",
        "start": "2026-11-24T14:30:00+00:00",
        "end": "2026-11-24T21:00:00+00:00",
        "average_quality_score": pytest.approx((1.0 + 0.9 + 0.5 + 0.5 + 0.0) / 5),
        "levels": {"EXCELLENT": 1, "GOOD": 1, "FAIR": 0, "POOR": 2, "INVALID": 1},
        "invalid_since": "2026-11-24T14:29:00+00:00",
        "reasons": {"B05_ZERO_VOLUME": 2, "B06_FLAT_SPIKE": 1, "B02_OHLC": 1},
        "bars": 4,
        "expected": 390,
        "completeness": 4 / 390,
        "worst": [
            {
                "timestamp": "2026-11-24T14:34:00+00:00",
                "quality": "INVALID",
                "reasons": ["B02_OHLC"],
            },
            {
                "timestamp": "2026-11-24T14:33:00+00:00",
                "quality": "POOR",
                "reasons": ["B05_ZERO_VOLUME", "B06_FLAT_SPIKE"],
            },
            {
                "timestamp": "2026-11-24T14:32:00+00:00",
                "quality": "POOR",
                "reasons": ["B05_ZERO_VOLUME"],
            },
            {"timestamp": "2026-11-24T14:31:00+00:00", "quality": "GOOD", "reasons": []},
        ],
        "gaps": [
            {
                "start": "2026-11-24T16:10:00+00:00",
                "end": "2026-11-24T16:20:00+00:00",
                "reason": "not served",
            }
        ],
    }
    assert json.loads(json.dumps(found)) == found


def test_a_report_of_no_bars_has_no_score() -> None:
    found = report()
    assert found["average_quality_score"] is None
    assert (found["bars"], found["expected"], found["completeness"]) == (0, 390, 0.0)
    assert (found["worst"], found["reasons"], set(found["levels"].values())) == ([], {}, {0, None})


def test_the_score_is_zero_if_all_bars_are_invalid() -> None:
    found = report(grade(0, INVALID))
    assert (found["average_quality_score"], found["bars"], found["completeness"]) == (0.0, 0, 0.0)


def test_the_number_of_invalid_bars_is_none_if_they_are_unknown() -> None:
    found = report(grade(0))
    assert (found["levels"]["INVALID"], found["invalid_since"]) == (None, None)
    found = report(grade(0), invalid_since_ns=at(0))
    assert found["levels"]["INVALID"] == 0


def test_the_span_includes_its_start_but_not_its_end() -> None:
    grades = [grade(minute, GOOD) for minute in range(10)]
    found = report(*grades, span=(3, 6))
    assert [one["timestamp"][14:16] for one in found["worst"]] == ["35", "34", "33"]
    assert (found["bars"], found["expected"], found["completeness"]) == (3, 3, 1.0)


@pytest.mark.parametrize("span", [(5, 5), (6, 5)])
def test_an_empty_span_expects_no_bars(span: tuple[int, int]) -> None:
    found = report(grade(5), span=span)
    assert (found["bars"], found["expected"], found["completeness"]) == (0, 0, None)


def test_bars_outside_of_the_session_are_graded_and_not_expected() -> None:
    found = report(grade(-5, POOR), grade(0), grade(400, GOOD), span=(-10, 500))
    assert (found["bars"], found["completeness"]) == (3, 1 / 390)
    assert found["average_quality_score"] == pytest.approx(0.8)
    night = report(grade(700), span=(600, 720))
    assert (night["bars"], night["expected"], night["completeness"]) == (1, 0, None)


def test_the_ten_worst_bars_are_sorted_by_grade_and_then_newest_first() -> None:
    grades = [grade(minute, FAIR) for minute in range(8)]
    grades += [grade(minute, GOOD) for minute in range(8, 16)]
    grades += [grade(20, INVALID), grade(19, POOR), grade(21)]
    worst = report(*grades)["worst"]
    shown = [(one["quality"], int(one["timestamp"][14:16]) - 30) for one in worst]
    assert shown == [("INVALID", 20), ("POOR", 19), *(("FAIR", n) for n in range(7, -1, -1))]


@pytest.mark.parametrize(
    ("length_s", "minutes", "span", "expected", "within"),
    [
        # The hours of 9:00 to 15:00; the first starts before the session, 16:00 after it.
        (3_600, [-30, 30, 330, 390], (-30, 450), 7, 3),
        (3_600, [-30], (-30, -29), 1, 1),
        (14_400, [-90, 150, 390], (-90, 450), 2, 2),
        (420, [-3, 389], (-4, 450), 57, 2),
        # Days are counted by their label, midnight in New York; Thanksgiving has no session.
        (86_400, [-570, -570 + DAY], (-570, -570 + 4 * DAY), 3, 2),
        (86_400, [-570, -570 + DAY, -570 + 2 * DAY], (-570, -570 + 4 * DAY), 3, 2),
        (86_400, [-570], (-570, -569), 1, 1),
        (86_400, [], (-569, 0), 0, None),
        (7 * 86_400, [-570 - DAY], (-570 - DAY, 0), 1, 1),
    ],
)
def test_longer_bars_count_if_they_include_regular_trading(
    length_s: int, minutes: list[int], span: tuple[int, int], expected: int, within: int | None
) -> None:
    found = report(*map(grade, minutes), span=span, resolution_s=length_s)
    assert found["bars"] == len(minutes)
    assert found["expected"] == expected
    assert found["completeness"] == (None if within is None else within / expected)


def test_crypto_is_expected_around_the_clock() -> None:
    grades = [grade(minute) for minute in range(0, DAY, 2)]
    found = report(*grades, span=(0, DAY), symbol="BTC/USD")
    assert (found["expected"], found["completeness"]) == (DAY, 0.5)


def test_completeness_is_one_if_there_are_more_bars_than_expected() -> None:
    seconds = [BarGrade(OPEN_NS + number * SECOND_NS, GOOD, 0) for number in range(60)]
    assert report(*seconds, span=(0, 1))["completeness"] == 1.0


def graded(*levels: int) -> Bars:
    block = block_of([Row(start_ns=at(minute)) for minute in range(len(levels))])
    columns = {"level": np.array(levels, "|u1"), "reasons": np.arange(len(levels)).astype("<u8")}
    return Bars(block.with_columns(**columns), (Gap("SPY", at(5), at(6), "not served"),))


def test_the_grades_of_a_block_are_its_starts_levels_and_reasons() -> None:
    assert grades_of(graded(4, 2).block) == [BarGrade(at(0), 4, 0), BarGrade(at(1), 2, 1)]


def test_a_report_of_history_has_its_bars_and_gaps() -> None:
    found = history_report("SPY", OPEN, OPEN + timedelta(minutes=10), graded(4, 2))
    assert (found["bars"], found["expected"]) == (2, 10)
    assert found["average_quality_score"] == pytest.approx(0.875)
    assert [gap["reason"] for gap in found["gaps"]] == ["not served"]


def test_no_bars_are_expected_in_the_future() -> None:
    start = datetime.now(UTC) - timedelta(minutes=30)
    bars = Bars(empty_block("crypto"))
    found = history_report("BTC/USD", start, start + timedelta(days=9), bars)
    assert 29 <= found["expected"] <= 60
    later = history_report("BTC/USD", start + timedelta(days=8), start + timedelta(days=9), bars)
    assert (later["expected"], later["completeness"]) == (0, None)


def test_history_of_days_is_counted_in_days() -> None:
    block = empty_block("iex", resolution=Resolution.DAILY)
    found = history_report("SPY", OPEN - timedelta(days=14), OPEN, Bars(block))
    assert found["expected"] == 10
