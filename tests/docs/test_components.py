"""The pages of the components name everything that a user may call."""

import inspect
import re
from pathlib import Path

import pytest

import lean_lite.data
from lean_lite.data import (
    Bars,
    BarStream,
    DataBuffer,
    DataCache,
    DataEngine,
    DataFeed,
    DataMetrics,
    DataPersistence,
    DataTransformer,
    DataValidator,
    Indicators,
    Live,
    Resampler,
    Slice,
)
from tests.harness.paths import ROOT

FOLDER = ROOT / "docs" / "components"
HOMES = {
    DataEngine: "engine.md",
    DataFeed: "feed.md",
    DataBuffer: "buffer.md",
    DataCache: "cache.md",
    DataValidator: "validator.md",
    DataTransformer: "transformer.md",
    DataPersistence: "persistence.md",
    DataMetrics: "metrics.md",
    Bars: "bars.md",
    BarStream: "streams.md",
    Live: "streams.md",
    Slice: "streams.md",
    Indicators: "indicators.md",
    Resampler: "transformer.md",
}
CODE = re.compile(r"^```\w+\n.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# Methods of every indicator, for authors of indicators.
INNER = {"step", "lines"}


def code_of(page: Path) -> str:
    """Return the code of a page: its blocks and inline spans."""
    return "\n".join(CODE.findall(page.read_text("utf-8")))


def is_named(name: str, code: str) -> bool:
    return re.search(rf"\b{name}\b", code) is not None


def public(cls: type) -> list[str]:
    """Return the methods and properties of a class that have no underscore."""
    kinds = (property, staticmethod, classmethod)
    return [
        name
        for name, member in inspect.getmembers_static(cls)
        if not name.startswith("_")
        and name not in INNER
        and (inspect.isfunction(member) or isinstance(member, kinds))
    ]


@pytest.mark.parametrize("cls", HOMES, ids=lambda cls: cls.__name__)
def test_a_page_names_everything_public_of_its_component(cls: type) -> None:
    code = code_of(FOLDER / HOMES[cls])
    assert [name for name in public(cls) if not is_named(name, code)] == []


def test_every_public_name_of_the_package_is_on_a_page() -> None:
    code = "\n".join(map(code_of, FOLDER.glob("*.md")))
    assert [name for name in lean_lite.data.__all__ if not is_named(name, code)] == []


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_a_page_is_short_and_ends_with_a_task(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [heading.startswith("How to ") for heading in headings] == [False] * (
        len(headings) - 1
    ) + [True]
    assert len(text.splitlines()) < 200
