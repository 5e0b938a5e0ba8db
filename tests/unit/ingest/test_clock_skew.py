import logging

import pytest

from lean_lite.model.timestamps import SECOND_NS
from lean_lite_ingest.alpaca.error_codes import ADVICE, explain
from lean_lite_ingest.clock_skew import ClockSkewMonitor

END_NS = 1_795_000_000 * SECOND_NS


def test_a_bar_that_comes_before_its_end_tells_of_a_clock_that_is_behind(
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
def test_a_bar_that_comes_after_its_end_is_no_skew(
    late_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert not ClockSkewMonitor("iex").check(END_NS, END_NS + late_ns)
    assert not caplog.records


@pytest.mark.parametrize("code", ADVICE)
def test_every_known_refusal_says_what_to_do(code: int) -> None:
    assert explain(code, "no") == f"no ({code}); {ADVICE[code]}"


def test_an_unknown_refusal_keeps_its_words_and_code() -> None:
    assert explain(499, "odd") == "odd (499)"
