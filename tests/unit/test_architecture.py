"""The source tree in docs/architecture.md is up to date."""

import subprocess
import sys

from tests.harness.paths import ROOT


def test_the_tree_of_the_page_is_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "architecture.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
