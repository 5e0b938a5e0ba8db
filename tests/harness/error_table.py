"""Table of docs/errors.md, compared with the messages of real situations."""

import re
from functools import cache
from typing import NamedTuple

from tests.harness.paths import ROOT

PAGE = ROOT / "docs" / "errors.md"
HEADER = "| situation | message | exit | what to do |"
QUOTED = re.compile(r"(`+) ?(.+?) ?\1")
PLACEHOLDER = re.compile(r"<[a-z ]+>")


class Row(NamedTuple):
    """Message of a row as a pattern, and the exit code if there is one."""

    message: re.Pattern[str]
    code: int | None


@cache
def table() -> dict[str, Row]:
    """Return the rows of the page's tables by their situation."""
    found: dict[str, Row] = {}
    inside = False
    for line in PAGE.read_text("utf-8").splitlines():
        inside = line == HEADER or (inside and line.startswith("|"))
        if inside and line != HEADER and not line.startswith("|--"):
            situation, message, code, _ = (cell.strip() for cell in line.strip("|").split("|"))
            assert situation not in found
            found[situation] = Row(_pattern(message), None if code == "none" else int(code))
    return found


def shows(situation: str, text: str, code: int | None = None) -> None:
    """Assert that text and exit code of a situation are those of the page."""
    row = table()[situation]
    assert row.message.search(text), f"not {row.message.pattern!r} but {text!r}"
    assert code == row.code


def _pattern(cell: str) -> re.Pattern[str]:
    quoted = QUOTED.fullmatch(cell)
    assert quoted is not None, cell
    return re.compile(".+?".join(re.escape(part) for part in PLACEHOLDER.split(quoted[2])))
