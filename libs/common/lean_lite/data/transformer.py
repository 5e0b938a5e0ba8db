"""Bars made into other bars, into normalised figures, into indicators."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lean_lite.data.bars import Bars
from lean_lite.data.bars.bars import OHLCV
from lean_lite.data.bars.dataframe import utc_index
from lean_lite.data.indicators import Indicators
from lean_lite.data.normalization import Method, normalize
from lean_lite.data.optional import import_optional
from lean_lite.data.resampling.fold import fold_bars
from lean_lite.model import Length, Resolution, TradeBar

if TYPE_CHECKING:
    import pandas as pd


class DataTransformer:
    """
    Transform bars: `Bars`, as history returns them, or whatever else yields TradeBars.

    Nothing here changes what it is given. For live bars there are `Resampler` and `Indicators`,
    which give the same numbers one bar at a time.
    """

    @staticmethod
    def resample_bars(
        bars: Iterable[TradeBar], resolution: Length, *, extended: bool = True
    ) -> Bars:
        """
        Return longer bars, of any number of symbols, in order of symbol and start.

        Buckets count from the start of the trading day: midnight in New York for equities, so that
        hours are those of the clock there, midnight UTC for crypto, 17:00 in New York for forex.
        `partial` of the result marks the bars before and after which trading time is missing.
        Without `extended` only bars of the regular session count. Bars that are as long already
        stay as they are. ValueError when the bars do not add up to the resolution.
        """
        length = Resolution.of(resolution)
        return fold_bars(Bars.of(bars, resolution=length), length, extended=extended)

    @staticmethod
    def normalize_data(
        bars: Iterable[TradeBar], method: Method = "minmax", *, jointly: bool = False
    ) -> "pd.DataFrame":
        """
        Return open, high, low, close and volume of one symbol on a common scale, by start in UTC.

        `minmax` maps each column's lowest value to 0 and its highest to 1, `zscore` its mean to 0
        and its population deviation to 1; a constant column becomes 0. `log` is the natural
        logarithm, of 1 + volume for volume. With `jointly` the four prices share one scale, so that
        no close leaves the span from low to high. ValueError for another method, several symbols,
        or a logarithm that does not exist; ImportError without `lean-lite[pandas]`.
        """
        given = Bars.of(bars)
        given.block.require_one_symbol()
        pandas = import_optional("pandas", "pandas")
        values = normalize(given.to_numpy(), method, jointly=jointly)
        frame: pd.DataFrame = pandas.DataFrame(values, index=utc_index(given.block), columns=OHLCV)
        return frame

    @staticmethod
    def calculate_technical_indicators(bars: Iterable[TradeBar]) -> "dict[str, pd.Series[float]]":
        """
        Return the usual indicators of one symbol by name, each as a series by start in UTC.

        `sma_20`, `sma_50`, `ema_12`, `ema_26`, `macd`, `macd_signal`, `macd_hist`, `rsi`,
        `bollinger_upper`, `bollinger_middle`, `bollinger_lower`, `atr` and `vwap`, with the
        conventions of the classes in `lean_lite.data.indicators`; NaN until there are enough bars.
        ValueError for several symbols; ImportError without `lean-lite[pandas]`.
        """
        given = Bars.of(bars)
        given.block.require_one_symbol()
        pandas = import_optional("pandas", "pandas")
        index = utc_index(given.block)
        lines = Indicators().over(given)
        return {name: pandas.Series(line, index, name=name) for name, line in lines.items()}
