"""Every link between the pages has a target, and every page is reached from the README."""

import re
from pathlib import Path

from tests.harness.paths import ROOT

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[tuple[Path, str]]:
    """Return where the links of a page lead: a file, and a heading in it or nothing."""
    found = LINK.finditer(prose(page))
    return [
        ((page.parent / one["target"]).resolve() if one["target"] else page, one["anchor"] or "")
        for one in found
    ]


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in HEADING.findall(prose(page)))
    return {heading.replace(" ", "-") for heading in plain}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = [
        (page.name, str(target), anchor)
        for page in PAGES
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set[Path](), {ROOT / "README.md"}
    while todo:
        page = todo.pop()
        reached.add(page)
        if page.suffix != ".md":
            continue
        targets = {target for target, _ in links(page)}
        # A link to a folder shows all that is in it.
        inside = {page for target in targets if target.is_dir() for page in target.glob("*.md")}
        todo |= {one for one in targets | inside if one.is_file()} - reached
    assert {*PAGES, ROOT / "docs" / "quickstart.ipynb"} - reached == set()
