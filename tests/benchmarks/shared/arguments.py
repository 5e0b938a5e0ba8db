"""The command line that every benchmark has."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple


class Arguments(NamedTuple):
    """Hold what was asked for; `parts` names the measurements to take."""

    quick: bool
    json: bool
    parts: tuple[str, ...]


def parse(
    name: str, about: str, parts: Sequence[str], given: Sequence[str] | None = None
) -> Arguments:
    """Return the arguments; all parts without `--part`."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.{name}", description=about)
    parser.add_argument("--quick", action="store_true", help="end within 50 s")
    parser.add_argument(
        "--json", action="store_true", help="print the last line only, without the table"
    )
    parser.add_argument(
        "--part",
        action="append",
        choices=parts,
        dest="parts",
        help="measure this only; may be given again (default: everything)",
    )
    found = parser.parse_args(given)
    return Arguments(found.quick, found.json, tuple(found.parts or parts))
