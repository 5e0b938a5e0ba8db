"""Every Python block of every page below docs runs unchanged, and prints what the page shows."""

import json
from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks_of, differs, pages, session_of
from tests.docs.runner import await_end, blocks, python
from tests.harness.paths import ROOT

PAGES = pages()
PROGRAMS = [block for page in PAGES for block in blocks_of(page) if block.is_program]

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("pages")]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT / "docs"))


@pytest.mark.parametrize("page", PAGES, ids=map(name_of, PAGES))
def test_every_page_shows_what_its_code_prints(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("```python") == len(blocks_of(page))
    assert any(block.output for block in blocks_of(page))


def test_no_page_has_code_of_a_kind_that_is_not_tested() -> None:
    fences = {
        line.removeprefix("```")
        for page in (ROOT / "docs").rglob("*.md")
        for line in page.read_text("utf-8").splitlines()
        if line.lstrip().startswith("```")
    }
    assert fences == {"", "console", "python", "text"}


def test_the_commands_of_the_tutorial_exist() -> None:
    lines = "".join(blocks("docs/tutorial.md", "console")).splitlines()
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [line.removeprefix("$ make ") for line in lines if line.startswith("$ make ")]
    assert [f"\n{target}:" in makefile for target in targets] == [True]
    (verb,) = (line.rpartition("/lean-lite ")[2] for line in lines if "/lean-lite " in line)
    assert f'name="{verb}"' in (ROOT / "libs/common/lean_lite/cli/app.py").read_text("utf-8")


@pytest.mark.parametrize(
    "block", PROGRAMS, ids=[f"{name_of(block.page)}:{block.line}" for block in PROGRAMS]
)
def test_a_program_prints_what_its_page_shows(block: Block, home: Path, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(block.at_its_lines, "utf-8")
    printed = python([str(script)], home, tmp_path)
    await_end(tmp_path)
    assert not (difference := differs(block, printed)), difference


SESSIONS = [page for page in PAGES if session_of(page)]


@pytest.mark.parametrize("page", SESSIONS, ids=map(name_of, SESSIONS))
def test_a_session_prints_what_its_page_shows(page: Path, home: Path, tmp_path: Path) -> None:
    printed = json.loads(python(["-m", "tests.docs.run_page", str(page)], home, tmp_path))
    differences = [
        differs(block, output) for block, output in zip(session_of(page), printed, strict=True)
    ]
    assert not any(differences), "\n".join(filter(None, differences))
