"""From the record off the socket to the callback; NautilusTrader's engine beside it."""

import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tests.benchmarks.shared.child import Child, child
from tests.benchmarks.shared.figure import ratio
from tests.benchmarks.shared.machine import versions
from tests.benchmarks.shared.peers import Peers
from tests.benchmarks.shared.report import Report
from tests.benchmarks.shared.rounds import Rounds, Told

GOAL = 2.0
OURS = "tests.benchmarks.workers.strategy"
PEER = "tests.benchmarks.peers.nautilus"


class Size(NamedTuple):
    """Say how much of it is measured."""

    bars: int
    rounds: int


QUICK = Size(bars=10_000, rounds=4)
FULL = Size(bars=50_000, rounds=9)


def measure(report: Report, size: Size) -> None:
    report.versions |= versions(["lean-lite", "msgspec", "nats-py", "embedded-nats"])
    python = Peers().install()
    for symbols, case in ((1, "1_symbol"), (100, "100_symbols")):
        with (
            child(sys.executable, OURS, str(symbols)) as ours,
            child(python, PEER, str(symbols)) as peer,
        ):
            minutes = size.bars // symbols
            rounds = Rounds(_inside(ours, peer, minutes), size.rounds)
            _compare(report, rounds, case, minutes * symbols)
            after = minutes * (size.rounds + 1)
            rounds = Rounds({"wire": _turn(ours, "wire", minutes, after)}, size.rounds)
            name = f"end_to_end_{case}"
            report.add(
                rounds.per_second("wire", name, count=minutes * symbols),
                rounds.cpu_us("wire", f"{name}_cpu", count=minutes * symbols),
            )


def _inside(ours: Child, peer: Child, minutes: int) -> dict[str, Callable[[int], Told]]:
    return {
        "ours": _turn(ours, "inside", minutes),
        "process": _turn(peer, "process", minutes),
        "live": _turn(peer, "live", minutes),
        "wire": _turn(peer, "wire", minutes),
    }


def _turn(of: Child, name: str, minutes: int, after: int = 0) -> Callable[[int], Told]:
    """Return what takes a turn; sequences go on from round to round, behind those used before."""
    return lambda number: of.turn(name, first=after + number * minutes, minutes=minutes)


def _compare(report: Report, rounds: Rounds, case: str, bars: int) -> None:
    cpu = partial(rounds.cpu_us, count=bars)
    ours = cpu("ours", f"callback_{case}_cpu")
    report.add(rounds.per_second("ours", f"callback_{case}", count=bars), ours)
    report.add(rounds.per_second("process", f"nautilus_{case}", count=bars))
    for name, figure in (
        ("process", "nautilus"),
        ("live", "nautilus_live"),
        ("wire", "nautilus_from_bytes"),
    ):
        theirs = cpu(name, f"{figure}_{case}_cpu")
        compared = ratio(f"callback_{case}_vs_{figure}", theirs.rounds, ours.rounds)
        report.add(theirs, compared, versions=rounds.versions(name))
    report.aim(f"callback_{case}_vs_nautilus", GOAL)
