import logging

import pytest

from lean_lite.model.timestamps import SECOND_NS
from lean_lite_ingest.clock import ClockSkewMonitor

END_NS = 1_795_000_000 * SECOND_NS


def test_a_bar_received_before_its_end_shows_a_local_clock_that_is_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    skew = ClockSkewMonitor("iex")
    with caplog.at_level(logging.WARNING):
        assert skew.check(END_NS, END_NS - 3 * SECOND_NS)
        assert skew.check(END_NS, END_NS - 4 * SECOND_NS)
    assert len(caplog.records) == 1
    assert "at least 4.0 s behind the feed iex" in skew.text
    assert "NTP" in skew.text


@pytest.mark.parametrize("late_ns", [0, 50_000_000, 3_600 * SECOND_NS, -SECOND_NS // 2])
def test_a_bar_received_after_its_end_or_just_before_shows_no_skew(
    late_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert not ClockSkewMonitor("iex").check(END_NS, END_NS + late_ns)
    assert not caplog.records
