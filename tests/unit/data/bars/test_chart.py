from typing import Any

import numpy as np
import pytest

from lean_lite.blocks import empty_block
from lean_lite.data.bars import Bars
from lean_lite.data.bars.chart import COLOURS, UNGRADED
from lean_lite.model import DataQualityLevel, Resolution
from tests.harness.bars import Row, block_of

ROWS = [Row(close=float(minute)).at(minute) for minute in range(6)]


def graded(*levels: int) -> Bars:
    block = block_of(ROWS[: len(levels)])
    return Bars(block.with_columns(level=np.array(levels, "|u1")))


def traces(bars: Bars) -> dict[str, Any]:
    return {trace.name: trace for trace in bars.plot().data}


def test_each_grade_has_candles_in_its_own_colours() -> None:
    found = traces(graded(4, 1, 4, 0, 3, 2))
    assert list(found) == ["EXCELLENT", "GOOD", "FAIR", "POOR", "INVALID", "volume"]
    for level in DataQualityLevel:
        candles = found[level.name]
        assert (candles.increasing.line.color, candles.decreasing.line.color) == COLOURS[level]
    assert found["EXCELLENT"].close.tolist() == [0.0, 2.0]
    assert found["POOR"].close.tolist() == [1.0]


def test_a_grade_without_bars_has_no_candles() -> None:
    assert list(traces(graded(4, 4))) == ["EXCELLENT", "volume"]


def test_ungraded_bars_are_shown() -> None:
    found = traces(Bars(block_of(ROWS)))
    assert list(found) == ["not graded", "volume"]
    assert found["not graded"].increasing.line.color == UNGRADED[0]
    assert len(found["not graded"].open) == 6


def test_candles_have_the_prices_and_starts_of_their_bars() -> None:
    (candles, _) = Bars(block_of(ROWS[:2])).plot().data
    assert candles.x.astype(str).tolist() == [
        "2026-11-26T14:30:00.000000000",
        "2026-11-26T14:31:00.000000000",
    ]
    prices = [candles[name].tolist() for name in ("open", "high", "low", "close")]
    assert prices == [[100.0] * 2, [101.0] * 2, [99.0] * 2, [0.0, 1.0]]


def test_volume_is_drawn_below_on_the_same_time_axis() -> None:
    figure = graded(4, 1).plot()
    candles, volume = figure.data[0], figure.data[-1]
    assert (candles.type, candles.yaxis) == ("candlestick", "y")
    assert (volume.type, volume.yaxis) == ("bar", "y2")
    assert volume.y.tolist() == [1_000.0, 1_000.0]
    assert figure.layout.xaxis.matches == "x2"
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1]
    assert figure.layout.xaxis.rangeslider.visible is False


def test_the_title_has_symbol_and_resolution() -> None:
    assert Bars(block_of(ROWS)).plot().layout.title.text == "SPY minute"
    empty = Bars(empty_block("iex", resolution=Resolution.DAILY)).plot()
    assert (empty.layout.title.text, len(empty.data)) == ("daily", 1)


def test_several_symbols_are_refused() -> None:
    both = Bars(block_of([Row("SPY"), Row("AAPL")]))
    with pytest.raises(ValueError, match="one symbol at a time, not SPY, AAPL: take them apart"):
        both.plot()
    # A slice with bars of one of the two symbols is accepted.
    assert both[:1].plot().layout.title.text == "SPY minute"


def test_a_figure_can_be_encoded_as_json() -> None:
    assert graded(4, 1).plot().to_json().startswith("{")
