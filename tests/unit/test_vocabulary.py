"""
Names follow the glossary: a class name has one meaning, and retired words are not used.

docs/glossary.md has the words to use instead.
"""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.harness.paths import ROOT

LIBRARY = ROOT / "libs/common/lean_lite"
PACKAGES = [
    LIBRARY,
    ROOT / "libs/simulator/lean_lite_sim",
    *sorted(ROOT.glob("services/*/lean_lite_*")),
]

# Words that mean something else in the field, or have no meaning there.
RETIRED = {
    *("arrival", "beat", "crew", "demand", "doubt", "errand", "flusher", "handover", "head"),
    *("hole", "outbox", "patience", "pulse", "pump", "roster", "sequel", "shelf", "way", "wish"),
}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> set[str]:
    """Split a name into its words, in lower case and in the singular."""
    return {word.lower().removesuffix("s") for word in WORD.findall(name)}


@cache
def modules(package: Path) -> dict[str, ast.Module]:
    """Parse the modules of a package, by their path in the repository."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in package.rglob("*.py")
    }


def classes(module: ast.Module) -> list[str]:
    return [
        node.name
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_class_name_is_defined_once_in_a_package(package: Path) -> None:
    places = defaultdict(list)
    for path, module in modules(package).items():
        for name in classes(module):
            places[name].append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_names_of_modules_and_classes_contain_no_retired_words(package: Path) -> None:
    named = {
        f"{path}: {name}"
        for path, module in modules(package).items()
        for name in (Path(path).stem, *classes(module))
        if words(name) & RETIRED
    }
    assert named == set()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_module_has_a_docstring(package: Path) -> None:
    undocumented = [
        path for path, module in modules(package).items() if not ast.get_docstring(module)
    ]
    assert undocumented == []
