"""
Write the tree of docs/architecture.md from the first lines of the modules' docstrings.

Run it with `make architecture`; with `--check` it only says whether the page is up to date.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = (
    "libs/common/lean_lite",
    "libs/simulator/lean_lite_sim",
    "services/ingest/lean_lite_ingest",
    "services/validate/lean_lite_validate",
    "services/store/lean_lite_store",
    "services/metrics/lean_lite_metrics",
)
START, END = "<!-- tree: written by make architecture -->\n", "<!-- end of the tree -->\n"
COLUMN = 34


def first_line(module: Path) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(module.read_text())) or ""
    return text.partition("\n")[0].rstrip(".")


def tree(folder: Path, depth: int = 0) -> Iterator[str]:
    """Yield one line per module, folders after files; a folder has the line of its package."""
    for module in sorted(folder.glob("*.py")):
        if module.name not in {"__init__.py", "__main__.py"}:
            yield f"{'  ' * depth}{module.name:<{COLUMN - 2 * depth}}{first_line(module)}".rstrip()
    for inner in sorted(path for path in folder.iterdir() if (path / "__init__.py").exists()):
        line = first_line(inner / "__init__.py")
        yield f"{'  ' * depth}{inner.name + '/':<{COLUMN - 2 * depth}}{line}".rstrip()
        yield from tree(inner, depth + 1)


def written(page: str) -> str:
    """Return the page with its tree as the sources have it now."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    blocks = [
        "\n".join(
            (f"### {package}", "", "```text", *tree(ROOT / package), "```", ""),
        )
        for package in PACKAGES
    ]
    return before + START + "\n" + "\n".join(blocks) + "\n" + END + after


def main() -> int:
    """Write the page, or compare it; return the exit code."""
    page = PAGE.read_text()
    current = written(page)
    if "--check" in sys.argv[1:]:
        if current != page:
            sys.stderr.write("docs/architecture.md is out of date: run `make architecture`\n")
        return int(current != page)
    PAGE.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main())
