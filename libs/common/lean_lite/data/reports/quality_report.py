"""Quality report: scores, levels, reasons and completeness of the bars of a span."""

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
    """Grade of the bar of one start: its level, and one bit per failed check."""

    start_ns: int
    level: int
    reasons: int


def grades_of(block: Block) -> list[BarGrade]:
    """Return the grades of a graded block, row by row."""
    columns = (block[name].tolist() for name in ("start_ns", "level", "reasons"))
    return [BarGrade(*row) for row in zip(*columns, strict=True)]


def history_report(
    symbol: str, start_date: datetime, end_date: datetime, bars: Bars
) -> dict[str, Any]:
    """
    Report the bars of history; INVALID bars are in none, so their number is None.

    Args:
        symbol: symbol of the bars.
        start_date: start of the span, inclusive; naive times are local.
        end_date: end of the span, exclusive; the report ends now if it is in the future.
        bars: graded bars of the span.

    Returns:
        The report of `build_report`.
    """
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
    grades: Iterable[BarGrade],
    *,
    resolution_s: int = 60,
    gaps: Iterable[Gap] = (),
    invalid_since_ns: int | None = None,
) -> dict[str, Any]:
    """
    Build the report on the bars that start in a span.

    Args:
        symbol: symbol of the bars.
        span: start and end (exclusive), in nanoseconds since 1970 (UTC).
        grades: grades of the bars; those of other spans are ignored.
        resolution_s: resolution of the bars, in seconds.
        gaps: spans that could not be fetched.
        invalid_since_ns: since when INVALID bars are among the grades; None if they never are.

    Returns:
        Values that JSON can carry:

        - `symbol`, `start`, `end`: times as ISO text.
        - `average_quality_score`: mean of the scores, 0 to 1; None without any bar.
        - `levels`: number of bars by level; INVALID is None if it is unknown.
        - `invalid_since`: since when INVALID bars are counted, or None.
        - `reasons`: number of bars by failed check, the most frequent first.
        - `bars`: number of bars that history has; INVALID bars do not count.
        - `expected`: number of bars in regular sessions that the calendar has.
        - `completeness`: share of the expected bars that history has, 0 to 1; None if none is
          expected.
        - `worst`: the ten worst bars below EXCELLENT with `timestamp`, `quality` and `reasons`;
          of equal ones the newest first.
        - `gaps`: `start`, `end` and `reason` of each.
    """
    start_ns, end_ns = span
    found = sorted(grade for grade in grades if start_ns <= grade.start_ns < end_ns)
    scores = [DataQualityLevel.from_code(grade.level).value for grade in found]
    expected = expected_bars(symbol, Resolution.from_seconds(resolution_s), start_ns, end_ns)
    good = [grade for grade in found if grade.level > DataQualityLevel.INVALID.code]
    regular_bars = _count_regular(symbol, good, resolution_s)
    return {
        "symbol": symbol,
        "start": from_ns(start_ns).isoformat(),
        "end": from_ns(end_ns).isoformat(),
        "average_quality_score": float(np.mean(scores)) if scores else None,
        "levels": _count_levels(found, invalid_since_ns),
        "invalid_since": None
        if invalid_since_ns is None
        else from_ns(invalid_since_ns).isoformat(),
        "reasons": _count_reasons(found),
        "bars": len(good),
        "expected": expected,
        "completeness": min(regular_bars / expected, 1.0) if expected else None,
        "worst": [_to_dict(grade) for grade in _worst(found)],
        "gaps": [
            {
                "start": from_ns(gap.start_ns).isoformat(),
                "end": from_ns(gap.end_ns).isoformat(),
                "reason": gap.reason,
            }
            for gap in gaps
        ],
    }


def _count_levels(
    grades: Iterable[BarGrade], invalid_since_ns: int | None
) -> Mapping[str, int | None]:
    counted = Counter(grade.level for grade in grades)
    levels: dict[str, int | None] = {
        level.name: counted[level.code] for level in sorted(DataQualityLevel, reverse=True)
    }
    if invalid_since_ns is None:
        levels[DataQualityLevel.INVALID.name] = None
    return levels


def _count_reasons(grades: Iterable[BarGrade]) -> Mapping[str, int]:
    counted = Counter(check.name for grade in grades for check in failed_checks(grade.reasons))
    return dict(counted.most_common())


def _count_regular(symbol: str, grades: list[BarGrade], resolution_s: int) -> int:
    """Count the bars that overlap a regular session."""
    starts_ns = np.array([grade.start_ns for grade in grades], np.int64)
    ends_ns = starts_ns + resolution_s * SECOND_NS
    return int(overlaps_regular_session(asset_class_of(symbol), starts_ns, ends_ns).sum())


def _worst(grades: Iterable[BarGrade]) -> list[BarGrade]:
    flawed = [grade for grade in grades if grade.level < DataQualityLevel.EXCELLENT.code]
    return sorted(flawed, key=lambda grade: (grade.level, -grade.start_ns))[:WORST]


def _to_dict(grade: BarGrade) -> dict[str, Any]:
    return {
        "timestamp": from_ns(grade.start_ns).isoformat(),
        "quality": DataQualityLevel.from_code(grade.level).name,
        "reasons": [check.name for check in failed_checks(grade.reasons)],
    }
