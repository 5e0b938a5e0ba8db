"""The page of logs has every event that the services, the stack and the bus log, with its level."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.paths import ROOT

PAGE = ROOT / "docs" / "logs.md"
LIBRARY = ROOT / "libs" / "common" / "lean_lite"
PACKAGES = {
    **{name: LIBRARY / name for name in ("bus", "service", "stack")},
    **{folder.name: folder for folder in sorted((ROOT / "services").iterdir()) if folder.is_dir()},
}
# The program of a user shows what this one logs, so it logs sentences.
SENTENCES = {LIBRARY / "stack" / "shared" / "membership.py"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
ROW = re.compile(r"^\| `(\S+)` \| (\w+) \| (.+?) \| (.*?) ?\|$", re.MULTILINE)


def sections() -> dict[str, list[tuple[str, ...]]]:
    """Return the rows of the page's tables by heading."""
    parts = re.split(r"^## (.*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {
        heading: ROW.findall(text)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        if ROW.search(text)
    }


def logged(folder: Path) -> set[tuple[str, str]]:
    """Return the texts that the modules of a folder log, with their levels."""
    files = [file for file in folder.rglob("*.py") if file not in SENTENCES]
    return {one for file in files for one in calls(ast.parse(file.read_text("utf-8")))}


def calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield text and level of each `log.<level>(text, ...)`; the source of one that is computed."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log"), attr=method), args=[first, *_]
            ) if method in LEVELS:
                level = "error" if method == "exception" else method
                match first:
                    case ast.Constant(value=str(text)):
                        yield text, level
                    case _:
                        yield ast.unparse(first), level


def test_the_page_has_a_section_for_each_package_that_logs() -> None:
    assert sections().keys() == {name for name, folder in PACKAGES.items() if logged(folder)}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_section_lists_the_events_of_its_package_in_order(package: str) -> None:
    rows = sections().get(package, [])
    assert [row[:2] for row in rows] == sorted(logged(PACKAGES[package]))
    assert all(meaning for _, _, meaning, _ in rows)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_logs_events_and_no_sentences(package: str) -> None:
    texts = [text for text, _ in logged(PACKAGES[package])]
    assert [text for text in texts if not EVENT.fullmatch(text)] == []


@pytest.mark.parametrize("package", ["data", "feeds"])
def test_a_package_of_the_client_logs_sentences_and_no_events(package: str) -> None:
    texts = [text for text, _ in logged(LIBRARY / package)]
    assert texts
    assert [text for text in texts if EVENT.fullmatch(text)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_an_event_of_warning_or_above_says_what_to_do(package: str) -> None:
    rows = sections().get(package, [])
    assert [
        event for event, level, _, todo in rows if level in {"warning", "error"} and not todo
    ] == []
