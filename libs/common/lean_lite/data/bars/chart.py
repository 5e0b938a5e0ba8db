"""Bars as a picture."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lean_lite.data.optional import import_optional
from lean_lite.model import DataQualityLevel

if TYPE_CHECKING:
    from plotly.graph_objects import Candlestick, Figure

    from lean_lite.data.bars.bars import Bars

# Rising and falling candles of each grade: the worse it is, the louder.
COLOURS = {
    DataQualityLevel.EXCELLENT: ("#26a69a", "#ef5350"),
    DataQualityLevel.GOOD: ("#80cbc4", "#ef9a9a"),
    DataQualityLevel.FAIR: ("#ffca28", "#ff8f00"),
    DataQualityLevel.POOR: ("#ab47bc", "#6a1b9a"),
    DataQualityLevel.INVALID: ("#000000", "#000000"),
}
UNGRADED = ("#90a4ae", "#546e7a")


def candlestick_figure(bars: "Bars") -> "Figure":
    """Return candles by grade and volume; see `Bars.plot`."""
    bars.check_one_symbol()
    subplots = import_optional("plotly.subplots", "plot")
    objects = import_optional("plotly.graph_objects", "plot")
    figure: Figure = subplots.make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.8, 0.2], vertical_spacing=0.02
    )
    starts = bars.block["start_ns"].astype("datetime64[ns]")
    scores = bars.quality
    for level, colours in COLOURS.items():
        rows = scores == level.value
        if rows.any():
            figure.add_trace(_candles(bars, starts, rows, level.name, colours), 1, 1)
    ungraded = np.isnan(scores)
    if ungraded.any():
        figure.add_trace(_candles(bars, starts, ungraded, "not graded", UNGRADED), 1, 1)
    volume = objects.Bar(x=starts, y=bars.block["volume"], name="volume", marker_color="#b0bec5")
    figure.add_trace(volume, 2, 1)
    title = f"{', '.join(bars.symbols)} {bars.resolution.value}".strip()
    figure.update_layout(title=title, xaxis_rangeslider_visible=False)
    return figure


def _candles(
    bars: "Bars",
    starts: npt.NDArray[np.datetime64],
    rows: npt.NDArray[np.bool_],
    name: str,
    colours: tuple[str, str],
) -> "Candlestick":
    objects = import_optional("plotly.graph_objects", "plot")
    prices = {price: bars.block[price][rows] for price in ("open", "high", "low", "close")}
    candles: Candlestick = objects.Candlestick(
        x=starts[rows],
        **prices,
        name=name,
        increasing_line_color=colours[0],
        decreasing_line_color=colours[1],
    )
    return candles
