"""How fast a strategy's side is: delivery of live bars, longer bars, indicators."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from tests.benchmarks.parts import delivery, indicators, resampling
from tests.benchmarks.shared.arguments import parse
from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.report import Report

NAME = "engine"


class Part(NamedTuple):
    """Hold a measurement in its two sizes."""

    quick: Callable[[Report], None]
    full: Callable[[Report], None]


PARTS = MappingProxyType(
    {
        "delivery": Part(
            partial(delivery.measure, size=delivery.QUICK),
            partial(delivery.measure, size=delivery.FULL),
        ),
        "resampling": Part(
            partial(resampling.measure, size=resampling.QUICK),
            partial(resampling.measure, size=resampling.FULL),
        ),
        "indicators": Part(
            partial(indicators.measure, size=indicators.QUICK),
            partial(indicators.measure, size=indicators.FULL),
        ),
    }
)


def main(given: Sequence[str] | None = None, parts: Mapping[str, Part] = PARTS) -> int:
    """Measure, and print the report; 1 when that is not possible."""
    arguments = parse(NAME, __doc__ or "", tuple(parts), given)
    report = Report(NAME, arguments)
    try:
        for name in arguments.parts:
            part = parts[name]
            (part.quick if arguments.quick else part.full)(report)
    except BenchmarkError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    report.print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
