from lean_lite.blocks import empty_block
from lean_lite.data.resampling.completeness import latest_expected_ns
from tests.harness.bars import MINUTE_NS, NINE_THIRTY_NS, Row, block_of

LATER_NS = NINE_THIRTY_NS + 900 * MINUTE_NS


def test_bars_are_expected_until_now() -> None:
    assert latest_expected_ns(block_of([Row()]), LATER_NS) == LATER_NS
    assert latest_expected_ns(empty_block("iex"), LATER_NS) == LATER_NS


def test_a_recording_expects_no_bar_after_its_newest() -> None:
    recorded = block_of([Row(), Row().at(4)], simulated=True)
    assert latest_expected_ns(recorded, LATER_NS) == NINE_THIRTY_NS + 5 * MINUTE_NS
    assert latest_expected_ns(empty_block("iex", simulated=True), LATER_NS) == 0
