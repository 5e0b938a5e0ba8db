"""Bars: sequence of bars over the columns of a block."""

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
    Read-only sequence of bars of one resolution; from history, in order of start.

    A `TradeBar` is created when it is accessed. A slice is `Bars` again, copies nothing and has
    all gaps; its `expected` is 0 unless it has all bars.

    Args:
        block: the bars as columns; its arrays are viewed, not copied.
        gaps: spans that were requested and could not be fetched.
        expected: number of bars that the calendar expects.
        partial: which bars are partial, shape (n,); none by default.

    Attributes:
        block: the bars as read-only numpy columns of shape (n,): prices and volume float64,
            `start_ns` int64 in nanoseconds since 1970 (UTC).
        gaps: spans that were requested and may lack bars, each with `symbol`, `start_ns`,
            `end_ns` (exclusive) and `reason`. Empty if the answer is complete; a minute without
            a trade is no gap.
        expected: number of bars in regular sessions that the calendar has in the requested span
            until now; 0 if unknown.
        partial: read-only bool array of shape (n,): True where a bar was folded from less than
            its full trading time.
    """

    def __init__(
        self,
        block: Block,
        gaps: tuple[Gap, ...] = (),
        expected: int = 0,
        partial: Mask | None = None,
    ) -> None:
        self.block = block.read_only()
        self.gaps = gaps
        self.expected = expected
        self.partial = read_only(np.zeros(len(block), np.bool_) if partial is None else partial)

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild a copy with the constructor, so that its arrays are read-only as well."""
        return Bars, (self.block, self.gaps, self.expected, self.partial)

    @classmethod
    def of(cls, bars: Iterable[TradeBar], *, resolution: Resolution = Resolution.MINUTE) -> "Bars":
        """
        Convert bars of one resolution to `Bars`.

        Args:
            bars: iterable of bars, in order of start; `Bars` are returned unchanged.
            resolution: resolution of the result if there are no bars.

        Returns:
            The bars, ungraded and without gaps.

        Raises:
            TypeError: `bars` is not iterable, or yields something else than `TradeBar`.
            ValueError: the bars have several resolutions.
        """
        if isinstance(bars, Bars):
            return bars
        given = bars if isinstance(bars, list) else _to_list(bars)
        for kind in set(map(type, given)):
            if not issubclass(kind, TradeBar):
                message = f"bars must be TradeBar, not {kind.__name__}"
                raise TypeError(message)
        return cls(from_bars(given, feed="") if given else empty_block("", resolution=resolution))

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.block)

    def __iter__(self) -> Iterator[TradeBar]:
        """Iterate over the bars."""
        return self.block.bars()

    @overload
    def __getitem__(self, index: int) -> TradeBar: ...

    @overload
    def __getitem__(self, index: slice) -> "Bars": ...

    def __getitem__(self, index: int | slice) -> "TradeBar | Bars":
        """Return one bar, or a slice as `Bars` without copying; IndexError if out of range."""
        if isinstance(index, slice):
            block = self.block.take(index)
            expected = self.expected if len(block) == len(self) else 0
            return Bars(block, self.gaps, expected, self.partial[index])
        return self.block.bar(range(len(self))[index])

    def __repr__(self) -> str:
        """Return symbols, number of bars and resolution: `<Bars SPY: 390 x minute>`."""
        return f"<Bars {format_symbols(self.symbols)}: {len(self)} x {self.block.resolution.value}>"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the bars, without duplicates."""
        return self.block.symbols_with_rows

    @property
    def resolution(self) -> Resolution:
        """Resolution of every bar."""
        return self.block.resolution

    @property
    def quality(self) -> npt.NDArray[np.float64]:
        """Score of every bar, 0 to 1; NaN for an ungraded bar."""
        return self.block.scores

    @property
    def completeness(self) -> float:
        """
        Share of the expected bars that this object has, 0 to 1; NaN if `expected` is 0.

        Only bars that overlap a regular session count. A symbol that does not trade in every minute
        stays below 1 without a gap.
        """
        if not self.expected:
            return float("nan")
        return min(int(regular_session_mask(self.block).sum()) / self.expected, 1.0)

    def check_one_symbol(self) -> None:
        """Raise ValueError if the bars are of several symbols."""
        self.block.require_one_symbol()

    def to_numpy(self) -> npt.NDArray[np.float64]:
        """
        Return prices and volume as one array.

        Returns:
            New float64 array of shape (n, 5), one row per bar: open, high, low, close, volume.
        """
        return np.column_stack([self.block[name] for name in OHLCV])

    def to_df(self) -> "pd.DataFrame":
        """
        Return the bars as a pandas DataFrame.

        Returns:
            New DataFrame with one row per bar. Its index `timestamp` is the start of the bar
            (`datetime64[ns, UTC]`). Columns: `symbol` (str), `open`, `high`, `low`, `close`,
            `volume` and `vwap` (float64, NaN without a VWAP), `trade_count` (nullable Int64),
            `quality` (float64 score of 0 to 1, NaN if ungraded) and `partial` (bool).

        Raises:
            ImportError: pandas is missing (`lean-lite[pandas]`).
        """
        from lean_lite.data.bars.dataframe import to_dataframe  # noqa: PLC0415 - pandas is an extra

        return to_dataframe(self.block, self.partial)

    def plot(self) -> "Figure":
        """
        Return a candlestick chart with volume.

        Returns:
            A plotly figure with one candlestick trace per grade, coloured by it, and the volume
            as bars below.

        Raises:
            ValueError: the bars are of several symbols.
            ImportError: plotly is missing (`lean-lite[plot]`).
        """
        from lean_lite.data.bars.chart import candlestick_figure  # noqa: PLC0415 - plotly is an extra

        return candlestick_figure(self.block)

    def _repr_html_(self) -> str:
        """Return a table of the first and last bars, for notebooks."""
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
        message = f"bars must be an iterable of TradeBar, not {type(bars).__name__}"
        raise TypeError(message)
    return list(bars)
