"""Print the branch coverage of each package, from the data that `make coverage` combined."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def package_of(file: str) -> str:
    """Return `lean_lite.data` for a file of the library, `lean_lite_store` for one of a service."""
    parts = Path(file).with_suffix("").parts
    first = next(at for at, part in enumerate(parts) if part.startswith("lean_lite"))
    library, *below = parts[first:]
    in_room = library == "lean_lite" and len(below) > 1
    return f"{library}.{below[0]}" if in_room else library


def share(part: int, whole: int) -> str:
    """Return a share in percent."""
    return f"{100 * part / whole:.0f} %" if whole else "none"


def main() -> int:
    """Print the table as tests/README.md has it; return the exit code."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", report.name]
        subprocess.run(command, cwd=ROOT, check=True)
        files = json.loads(Path(report.name).read_text("utf-8"))["files"]
    packages: dict[str, list[int]] = defaultdict(lambda: [0] * len(KINDS))
    for file, found in files.items():
        for counts in (packages[package_of(file)], packages["all"]):
            for at, kind in enumerate(KINDS):
                counts[at] += found["summary"][kind]
    sys.stdout.write(
        "| package | statements | lines covered | branches covered |\n|---|---|---|---|\n"
    )
    for name in sorted(packages, key=lambda name: (name == "all", name)):
        statements, lines, branches, taken = packages[name]
        row = f"{statements} | {share(lines, statements)} | {share(taken, branches)}"
        sys.stdout.write(f"| {'all' if name == 'all' else f'`{name}`'} | {row} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
