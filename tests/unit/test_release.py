"""All distributions have one version, and the changelog has a section for the next release."""

import tomllib

from lean_lite.version import VERSION
from tests.harness.paths import ROOT


def test_all_distributions_have_the_same_version() -> None:
    projects = [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    versions = {path: tomllib.loads(path.read_text())["project"]["version"] for path in projects}
    assert len(versions) == 6
    assert set(versions.values()) == {VERSION}


def test_the_changelog_names_the_version_or_what_is_unreleased() -> None:
    headings = [
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert headings[0] == "## [Unreleased]" or headings[0].startswith(f"## [{VERSION}]")
