"""The program of the page on feeds does what its text says."""

from pathlib import Path

import pytest

from tests.docs.programs import await_end, blocks, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_a_feed_of_your_own_is_graded_stored_and_delivered(tmp_path: Path) -> None:
    (source,) = blocks("docs/feeds.md", "python")
    lines = run(source, tmp_path).splitlines()
    await_end(tmp_path)
    assert lines == [
        "EUR/USD 02:00 1.1 EXCELLENT",
        "EUR/USD 02:01 1.1001 EXCELLENT",
        "EUR/USD 02:02 1.1002 EXCELLENT",
        "60 bars before",
    ]
