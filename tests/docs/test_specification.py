"""Every Python block of the specification runs unchanged, on the simulator."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lean_lite.data
from tests.docs.blocks import blocks_of, pages
from tests.docs.run_block import sources
from tests.docs.runner import python
from tests.docs.specification import STAGES

PAGE = Path(__file__).with_name("specification.md")

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("specification"),
]


def test_every_block_has_a_stage() -> None:
    assert len(sources(PAGE)) == len(STAGES) == 19


def test_the_pages_show_every_call_of_the_specification() -> None:
    needed = {name for source in sources(PAGE) for name in named(source)}
    shown = {name for page in pages() for one in blocks_of(page) for name in named(one.source)}
    assert len(needed & public_names()) > 40
    assert sorted(needed & public_names() - shown) == []


def named(source: str) -> Iterator[str]:
    """Yield the names, attributes and keywords of a block."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for node in ast.walk(compile(source, "block", "exec", flags=flags)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name


def public_names() -> set[str]:
    """Return the public names of the package, its members, and their parameters."""
    found = set(lean_lite.data.__all__)
    for cls in (getattr(lean_lite.data, name) for name in lean_lite.data.__all__):
        for name, member in inspect.getmembers(cls):
            if name == "__init__" or not name.startswith("_"):
                found.add(name)
                found |= set(inspect.signature(member).parameters) if callable(member) else set()
    return found


@pytest.mark.parametrize("number", range(len(STAGES)), ids=[one.__name__ for one in STAGES])
def test_a_block_runs_unchanged(number: int, home: Path, tmp_path: Path) -> None:
    command = ["-m", "tests.docs.run_block", str(PAGE), str(number)]
    printed = python(command, home, tmp_path)
    if number == 0:
        assert re.fullmatch(r"Retrieved \d{4,} historical bars\n", printed)
