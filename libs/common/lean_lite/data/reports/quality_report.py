"""How good the bars of a symbol were in a span of time."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from lean_lite.blocks import Block
from lean_lite.data.bars import Bars
from lean_lite.data.resampling.completeness import expected_bars, latest_expected_ns
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import overlaps_regular_session
from lean_lite.model import DataQualityLevel, Resolution
from lean_lite.model.timestamps import SECOND_NS, from_ns, to_ns
from lean_lite.protocol.history import Gap
from lean_lite.quality import failed_checks

WORST = 10


class BarGrade(msgspec.Struct, frozen=True, order=True, gc=False):
    """Hold what grading said of the bar that starts then."""

    start_ns: int
    level: int
    reasons: int


def grades_of(block: Block) -> list[BarGrade]:
    """Return the marks of a graded block."""
    columns = (block[name].tolist() for name in ("start_ns", "level", "reasons"))
    return [BarGrade(*row) for row in zip(*columns, strict=True)]


def history_report(
    symbol: str, start_date: datetime, end_date: datetime, bars: Bars
) -> dict[str, Any]:
    """Return `report_of` the bars of history, which has no INVALID ones and does not count them."""
    end_ns = min(to_ns(end_date), latest_expected_ns(bars.block, time.time_ns()))
    return build_report(
        symbol,
        (to_ns(start_date), max(end_ns, to_ns(start_date))),
        grades_of(bars.block) if len(bars) else (),
        resolution_s=bars.block.resolution.seconds,
        gaps=bars.gaps,
    )


def build_report(
    symbol: str,
    span: tuple[int, int],
    marks: Iterable[BarGrade],
    *,
    resolution_s: int = 60,
    gaps: Iterable[Gap] = (),
    invalid_since_ns: int | None = None,
) -> dict[str, Any]:
    """
    Return a report on the bars that start in a span, as plain values that JSON can carry.

    `average_quality_score` is the mean of the scores, and None without any bar; `levels` and
    `reasons` count bars; `bars` are those that history has, `expected` those of regular trading
    that the calendar has, and `completeness` the share of them, at most 1. `worst` lists the ten
    worst bars below EXCELLENT, the newest of equals first. INVALID bars count in all but `bars` and
    `completeness`, as far as they are known: since `invalid_since`, or, when that is None, nothing
    is known of them and their number is None.
    """
    start_ns, end_ns = span
    found = sorted(mark for mark in marks if start_ns <= mark.start_ns < end_ns)
    scores = [DataQualityLevel.from_code(mark.level).value for mark in found]
    expected = expected_bars(symbol, Resolution.from_seconds(resolution_s), start_ns, end_ns)
    good = [mark for mark in found if mark.level > DataQualityLevel.INVALID.code]
    regular_bars = _regular(symbol, good, resolution_s)
    return {
        "symbol": symbol,
        "start": from_ns(start_ns).isoformat(),
        "end": from_ns(end_ns).isoformat(),
        "average_quality_score": float(np.mean(scores)) if scores else None,
        "levels": _levels(found, invalid_since_ns),
        "invalid_since": None
        if invalid_since_ns is None
        else from_ns(invalid_since_ns).isoformat(),
        "reasons": _reasons(found),
        "bars": len(good),
        "expected": expected,
        "completeness": min(regular_bars / expected, 1.0) if expected else None,
        "worst": [_told(mark) for mark in _worst(found)],
        "gaps": [
            {
                "start": from_ns(gap.start_ns).isoformat(),
                "end": from_ns(gap.end_ns).isoformat(),
                "reason": gap.reason,
            }
            for gap in gaps
        ],
    }


def _levels(marks: Iterable[BarGrade], invalid_since_ns: int | None) -> Mapping[str, int | None]:
    counted = Counter(mark.level for mark in marks)
    levels: dict[str, int | None] = {
        level.name: counted[level.code] for level in sorted(DataQualityLevel, reverse=True)
    }
    if invalid_since_ns is None:
        levels[DataQualityLevel.INVALID.name] = None
    return levels


def _reasons(marks: Iterable[BarGrade]) -> Mapping[str, int]:
    counted = Counter(check.name for mark in marks for check in failed_checks(mark.reasons))
    return dict(counted.most_common())


def _regular(symbol: str, marks: list[BarGrade], resolution_s: int) -> int:
    """Count the bars that hold regular trading."""
    starts_ns = np.array([mark.start_ns for mark in marks], np.int64)
    ends_ns = starts_ns + resolution_s * SECOND_NS
    return int(overlaps_regular_session(asset_class_of(symbol), starts_ns, ends_ns).sum())


def _worst(marks: Iterable[BarGrade]) -> list[BarGrade]:
    flawed = [mark for mark in marks if mark.level < DataQualityLevel.EXCELLENT.code]
    return sorted(flawed, key=lambda mark: (mark.level, -mark.start_ns))[:WORST]


def _told(mark: BarGrade) -> dict[str, Any]:
    return {
        "timestamp": from_ns(mark.start_ns).isoformat(),
        "quality": DataQualityLevel.from_code(mark.level).name,
        "reasons": [check.name for check in failed_checks(mark.reasons)],
    }
