"""Block to candlestick figure."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.data.optional import import_optional
from lean_lite.model import DataQualityLevel

if TYPE_CHECKING:
    from plotly.graph_objects import Candlestick, Figure

# Colours of rising and falling candles; a worse grade has the stronger colour.
COLOURS = {
    DataQualityLevel.EXCELLENT: ("#26a69a", "#ef5350"),
    DataQualityLevel.GOOD: ("#80cbc4", "#ef9a9a"),
    DataQualityLevel.FAIR: ("#ffca28", "#ff8f00"),
    DataQualityLevel.POOR: ("#ab47bc", "#6a1b9a"),
    DataQualityLevel.INVALID: ("#000000", "#000000"),
}
UNGRADED = ("#90a4ae", "#546e7a")


def candlestick_figure(block: Block) -> "Figure":
    """Draw candles coloured by grade, with volume below; ValueError for several symbols."""
    block.require_one_symbol()
    subplots = import_optional("plotly.subplots", "plot")
    objects = import_optional("plotly.graph_objects", "plot")
    figure: Figure = subplots.make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.8, 0.2], vertical_spacing=0.02
    )
    starts = block["start_ns"].astype("datetime64[ns]")
    scores = block.scores
    for level, colours in COLOURS.items():
        rows = scores == level.value
        if rows.any():
            figure.add_trace(_candles(block, starts, rows, level.name, colours), 1, 1)
    ungraded = np.isnan(scores)
    if ungraded.any():
        figure.add_trace(_candles(block, starts, ungraded, "not graded", UNGRADED), 1, 1)
    volume = objects.Bar(x=starts, y=block["volume"], name="volume", marker_color="#b0bec5")
    figure.add_trace(volume, 2, 1)
    title = f"{', '.join(block.symbols_with_rows)} {block.resolution.value}".strip()
    figure.update_layout(title=title, xaxis_rangeslider_visible=False)
    return figure


def _candles(
    block: Block,
    starts: npt.NDArray[np.datetime64],
    rows: Mask,
    name: str,
    colours: tuple[str, str],
) -> "Candlestick":
    objects = import_optional("plotly.graph_objects", "plot")
    prices = {price: block[price][rows] for price in ("open", "high", "low", "close")}
    candles: Candlestick = objects.Candlestick(
        x=starts[rows],
        **prices,
        name=name,
        increasing_line_color=colours[0],
        decreasing_line_color=colours[1],
    )
    return candles
