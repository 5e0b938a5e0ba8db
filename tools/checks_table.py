"""
Write the table of checks in docs/messages.md from `lean_lite.quality.Check`.

Run it with `make checks-table`; with `--check` it only says whether the page is up to date.
"""

import sys
from pathlib import Path

from lean_lite.quality import Check

PAGE = Path(__file__).parents[1] / "docs" / "messages.md"
START, END = "<!-- checks: written by make checks-table -->\n", "<!-- end of the checks -->\n"


def table() -> str:
    """Return the table, one row per check in order of bit."""
    lines = ["| bit | check | what is wrong | level |", "|---|---|---|---|"]
    for check in Check:
        level = "dropped" if check.level is None else check.level.name
        lines.append(f"| {check.value} | `{check.name}` | {check.text} | {level} |")
    return "\n".join([*lines, ""])


def with_table(page: str) -> str:
    """Return the page with its table as the checks are now."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the page, or compare it; return the exit code."""
    page = PAGE.read_text("utf-8")
    current = with_table(page)
    if "--check" in sys.argv[1:]:
        if current != page:
            sys.stderr.write("docs/messages.md is out of date: run `make checks-table`\n")
        return int(current != page)
    PAGE.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
