"""
Python blocks of the pages, with the output that the pages show.

A block that runs itself (`asyncio.run(…)`, `if __name__ == …`) is a program. All others of a page
are one session, in which `await` works as in a notebook. The output of a block is the `text` block
directly after it: `…` stands for the rest of a word or line that varies, and a line with nothing
else for any number of lines. A block without one prints nothing.
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests.harness.paths import ROOT

FENCED = re.compile(
    r"^```python\n(?P<source>.*?)^```$(?:\s*^```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
PROGRAM = re.compile(r"^asyncio\.run\(|^if __name__ ==", re.MULTILINE)
ANYTHING = "…"


class Block(NamedTuple):
    """A block, the line of the page where it starts, and the output that the page shows."""

    page: Path
    line: int
    source: str
    output: str

    @property
    def is_program(self) -> bool:
        return PROGRAM.search(self.source) is not None

    @property
    def at_its_lines(self) -> str:
        """Return the source so that a traceback names the lines of the page."""
        return "\n" * (self.line - 1) + self.source


def pages() -> list[Path]:
    """Return every page with Python below `docs`."""
    return [page for page in sorted((ROOT / "docs").rglob("*.md")) if blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("source")) + 1, *found.groups(""))
        for found in FENCED.finditer(text)
    ]


def session_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if not block.is_program]


def differs(block: Block, printed: str) -> str:
    """Return how the output differs from what the page shows; empty if it does not."""
    if _pattern(block.output).fullmatch(printed):
        return ""
    position = f"{block.page.relative_to(ROOT)}:{block.line}"
    return f"{position} shows\n{block.output}and prints\n{printed}"


def _pattern(output: str) -> re.Pattern[str]:
    lines = output.splitlines(keepends=True)
    return re.compile("".join("(?:.*\n)*" if _is_any(line) else _of_line(line) for line in lines))


def _is_any(line: str) -> bool:
    return line.strip() == ANYTHING


def _of_line(line: str) -> str:
    return ".+".join(re.escape(part) for part in line.split(ANYTHING))
