"""A year of minutes as hours; pandas beside it."""

import sys
from typing import NamedTuple

from tests.benchmarks.shared.child import child
from tests.benchmarks.shared.figure import ratio
from tests.benchmarks.shared.machine import versions
from tests.benchmarks.shared.report import Report
from tests.benchmarks.shared.rounds import Rounds

GOAL = 3.0
WORKER = "tests.benchmarks.workers.resampling"


class Size(NamedTuple):
    """Say how much of it is measured."""

    times: int
    rounds: int


QUICK = Size(times=20, rounds=7)
FULL = Size(times=50, rounds=15)


def measure(report: Report, size: Size) -> None:
    report.versions |= versions(["lean-lite", "numpy", "pandas"])
    with child(sys.executable, WORKER) as worker:
        rounds = Rounds(
            {
                "ours": lambda _: worker.turn("lean_lite", times=size.times),
                "pandas": lambda _: worker.turn("pandas", times=size.times),
            },
            size.rounds,
        )
    ours = rounds.cpu_us("ours", "resample_year_cpu", per="year", count=size.times)
    theirs = rounds.cpu_us("pandas", "pandas_resample_year_cpu", per="year", count=size.times)
    report.add(ours, theirs, ratio("resample_vs_pandas", theirs.rounds, ours.rounds))
    report.aim("resample_vs_pandas", GOAL)
