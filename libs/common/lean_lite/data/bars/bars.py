"""What history returns: a sequence of bars over columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block, empty_block, from_bars
from lean_lite.blocks.block import Mask, format_symbols, read_only
from lean_lite.blocks.trading_time import regular_session_mask
from lean_lite.model import Resolution, TradeBar
from lean_lite.protocol.history import Gap

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

OHLCV = ("open", "high", "low", "close", "volume")
ROWS_SHOWN = 10


class Bars(Sequence[TradeBar]):
    """
    Be a read-only sequence of bars of one resolution, in order of start.

    `block` holds the same bars as numpy columns, read-only ones; a bar is made only when it is
    asked for. `gaps` names what was asked for and could not be had; `expected` is how many bars of
    regular trading the calendar has in that time. `partial` says which bars were made of less than
    their whole time. A slice has the gaps of the whole; of a part of the bars nothing is expected.
    """

    def __init__(
        self,
        block: Block,
        gaps: tuple[Gap, ...] = (),
        expected: int = 0,
        partial: Mask | None = None,
    ) -> None:
        """Show a block as bars; none is partial unless it is said."""
        self.block = block.read_only()
        self.gaps = gaps
        self.expected = expected
        self.partial = read_only(np.zeros(len(block), np.bool_) if partial is None else partial)

    def __reduce__(self) -> tuple[object, ...]:
        """Say how to make the same bars again: what is read-only is so in a copy."""
        return Bars, (self.block, self.gaps, self.expected, self.partial)

    @classmethod
    def of(cls, bars: Iterable[TradeBar], *, resolution: Resolution = Resolution.MINUTE) -> "Bars":
        """
        Return any bars of one resolution as `Bars`; without any it has the resolution given.

        TypeError for what is not iterable or yields something else, ValueError for two resolutions.
        """
        if isinstance(bars, Bars):
            return bars
        given = bars if isinstance(bars, list) else _to_list(bars)
        for kind in set(map(type, given)):
            if not issubclass(kind, TradeBar):
                message = f"bars are made of TradeBar, not {kind.__name__}"
                raise TypeError(message)
        return cls(from_bars(given, feed="") if given else empty_block("", resolution=resolution))

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.block)

    def __iter__(self) -> Iterator[TradeBar]:
        """Yield the bars."""
        return self.block.bars()

    @overload
    def __getitem__(self, index: int) -> TradeBar: ...

    @overload
    def __getitem__(self, index: slice) -> "Bars": ...

    def __getitem__(self, index: int | slice) -> "TradeBar | Bars":
        """Return one bar, or a slice that copies nothing; IndexError beyond the end."""
        if isinstance(index, slice):
            block = self.block.take(index)
            expected = self.expected if len(block) == len(self) else 0
            return Bars(block, self.gaps, expected, self.partial[index])
        return self.block.bar(range(len(self))[index])

    def __repr__(self) -> str:
        """Return how many bars of which symbols."""
        return f"<Bars {format_symbols(self.symbols)}: {len(self)} x {self.block.resolution.value}>"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that have bars here."""
        return self.block.symbols_with_rows

    @property
    def resolution(self) -> Resolution:
        """Return how much time each bar covers."""
        return self.block.resolution

    @property
    def quality(self) -> npt.NDArray[np.float64]:
        """Return the score of every bar, 0 to 1; NaN where nobody has graded it."""
        return self.block.scores

    @property
    def completeness(self) -> float:
        """Return the share of expected bars that is there, 0 to 1; NaN when none is expected."""
        if not self.expected:
            return float("nan")
        return min(int(regular_session_mask(self.block).sum()) / self.expected, 1.0)

    def check_one_symbol(self) -> None:
        """Raise ValueError if the bars are of several symbols."""
        self.block.require_one_symbol()

    def to_numpy(self) -> npt.NDArray[np.float64]:
        """Return open, high, low, close and volume, one row for each bar: shape (n, 5)."""
        return np.column_stack([self.block[name] for name in OHLCV])

    def to_df(self) -> "pd.DataFrame":
        """
        Return a frame with the start as its index, in UTC, and a column `symbol`.

        `vwap` and `trade_count` are missing where the feed has none; `quality` is the score and
        `partial` as in `partial`. ImportError without `lean-lite[pandas]`.
        """
        from lean_lite.data.bars.dataframe import to_dataframe  # noqa: PLC0415 - pandas is an extra

        return to_dataframe(self.block, self.partial)

    def plot(self) -> "Figure":
        """
        Return a plotly figure: candles coloured by quality, and volume below.

        ValueError for several symbols; ImportError without `lean-lite[plot]`.
        """
        from lean_lite.data.bars.chart import candlestick_figure  # noqa: PLC0415 - plotly is an extra

        return candlestick_figure(self.block)

    def _repr_html_(self) -> str:
        """Return a table of the first and the last bars, for notebooks."""
        from lean_lite.data.bars.html import html_table  # noqa: PLC0415 - only notebooks need it

        return html_table(
            self.block,
            self.partial,
            completeness=self.completeness,
            gaps=len(self.gaps),
            rows_shown=ROWS_SHOWN,
        )


def _to_list(bars: object) -> list[TradeBar]:
    if not isinstance(bars, Iterable):
        message = f"bars are a sequence of TradeBar, or yield them, not {type(bars).__name__}"
        raise TypeError(message)
    return list(bars)
