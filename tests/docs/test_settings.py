"""The page of settings lists all of them with their defaults; each section documents its keys."""

import inspect
import re

import msgspec
import pytest

from lean_lite.config.keys import ALIASES, SECTIONS, setting_names, types_of, variable_of
from tests.harness.paths import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+\.\w+)` \| `(\w+)` \| (.*?) \| (.+?) \|$", re.MULTILINE)


def shown(value: object) -> str:
    """Return a default as it is written in a file."""
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, str | tuple):
        return f"`{value}`" if value else "empty"
    return f"`{value}`"


def test_every_setting_has_a_row_with_its_variable_and_default() -> None:
    expected = [
        (f"{section}.{key}", variable_of(section, key), shown(default))
        for section, kind in SECTIONS.items()
        for key, default in msgspec.structs.asdict(kind()).items()
    ]
    assert [row[:3] for row in ROW.findall(PAGE)] == expected
    assert len(expected) == len(setting_names())


def test_every_alias_is_on_the_page() -> None:
    for alias in ALIASES:
        assert f"`{alias}`" in PAGE


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_a_heading_and_documents_its_keys_in_order(section: str) -> None:
    assert f"\n## [{section}]\n" in PAGE
    documentation = inspect.cleandoc(SECTIONS[section].__doc__ or "")
    documented = re.findall(r"^ {4}(\w+): ", documentation, re.MULTILINE)
    assert documented == list(types_of(section))
