"""The usual indicators over a year of minutes; TA-Lib beside them."""

import math
import sys
from collections.abc import Mapping
from typing import NamedTuple

from tests.benchmarks.shared.child import child
from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.figure import ratio
from tests.benchmarks.shared.machine import versions
from tests.benchmarks.shared.peers import Peers
from tests.benchmarks.shared.report import Report
from tests.benchmarks.shared.rounds import Rounds, Told

WORKER = "tests.benchmarks.workers.indicators"
PEER = "tests.benchmarks.peers.ta_lib"
TOLERANCE = 1e-6


class Size(NamedTuple):
    """Say how much of it is measured."""

    times: int
    bars: int
    rounds: int


QUICK = Size(times=5, bars=5_000, rounds=5)
FULL = Size(times=20, bars=20_000, rounds=15)


def measure(report: Report, size: Size) -> None:
    report.versions |= versions(["lean-lite", "numpy"])
    with child(sys.executable, WORKER) as worker, child(Peers().install(), PEER) as peer:
        whole = Rounds(
            {
                "ours": lambda _: worker.turn("over", times=size.times),
                "ta_lib": lambda _: peer.turn("over", times=size.times),
            },
            size.rounds,
            check_close,
        )
        live = Rounds(
            {"ours": lambda _: worker.turn("update", bars=size.bars)}, size.rounds, check_close
        )
    ours = whole.cpu_us("ours", "indicators_year_cpu", per="year", count=size.times)
    theirs = whole.cpu_us("ta_lib", "ta_lib_year_cpu", per="year", count=size.times)
    compared = ratio("indicators_vs_ta_lib", theirs.rounds, ours.rounds)
    report.add(ours, theirs, compared, versions=whole.versions("ta_lib"))
    report.add(live.cpu_us("ours", "indicators_update_cpu", count=size.bars))


def check_close(told: Mapping[str, Told]) -> None:
    """Raise BenchmarkError unless all lines that two have in common have the same values."""
    one, *others = (each["lines"] for each in told.values())
    for other in others:
        for name in one.keys() & other.keys():
            pairs = zip(one[name], other[name], strict=True)
            if not all(math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs):
                message = f"the work was not equal, so the figures say nothing: {name} differs"
                raise BenchmarkError(message)
