"""DataTransformer: longer bars, normalised values and indicators of bars."""

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
    Transformations of bars: of `Bars`, as history returns them, or of any iterable of `TradeBar`.

    The input is never changed. `Resampler` and `Indicators` compute the same values of live bars,
    bar by bar.
    """

    @staticmethod
    def resample_bars(
        bars: Iterable[TradeBar], resolution: Length, *, extended: bool = True
    ) -> Bars:
        """
        Fold bars into longer ones.

        Open, high, low and close are the first, highest, lowest and last; volume is summed, VWAP
        weighted by volume, the grade is the worst. Longer bars are aligned to the trading day:
        midnight in New York for equities, midnight UTC for crypto, 17:00 in New York for forex. Of
        two bars with one start the later one counts. Bars of the same resolution are not changed.

        Args:
            bars: bars of one resolution, of any number of symbols.
            resolution: a multiple of their resolution, also as text or timedelta.
            extended: False folds only bars of the regular session.

        Returns:
            The longer bars, in order of symbol and start; `partial` marks those that lack trading
            time.

        Raises:
            TypeError: `bars` yields something else than `TradeBar`.
            ValueError: the bars do not add up to the resolution, or have several resolutions.
        """
        length = Resolution.of(resolution)
        return fold_bars(Bars.of(bars, resolution=length), length, extended=extended)

    @staticmethod
    def normalize_data(
        bars: Iterable[TradeBar], method: Method = "minmax", *, jointly: bool = False
    ) -> "pd.DataFrame":
        """
        Scale prices and volume of one symbol.

        Args:
            bars: bars of one symbol.
            method: `"minmax"`: (x - min) / (max - min) of a column, 0 to 1. `"zscore"`: (x - mean)
                / standard deviation, of a population. A constant column becomes 0. `"log"`: ln(x)
                of prices, ln(1 + x) of volume.
            jointly: scale the four prices together, so that a close stays between low and high.

        Returns:
            DataFrame with one row per bar, indexed by start (`datetime64[ns, UTC]`); float64
            columns `open`, `high`, `low`, `close` and `volume`.

        Raises:
            ValueError: the method is invalid, the bars are of several symbols, or `"log"` has a
                price of 0 or less or a negative volume.
            ImportError: pandas is missing (`lean-lite[pandas]`).
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
        Compute the usual indicators of one symbol; formulas in `lean_lite.data.indicators`.

        Args:
            bars: bars of one symbol.

        Returns:
            float64 Series by name, one value per bar, indexed by start (`datetime64[ns, UTC]`), NaN
            during the warm-up: `sma_20`, `sma_50`, `ema_12`, `ema_26`, `macd`, `macd_signal`,
            `macd_hist`, `rsi`, `bollinger_upper`, `bollinger_middle`, `bollinger_lower`, `atr` and
            `vwap`.

        Raises:
            ValueError: the bars are of several symbols or resolutions.
            ImportError: pandas is missing (`lean-lite[pandas]`).
        """
        given = Bars.of(bars)
        given.block.require_one_symbol()
        pandas = import_optional("pandas", "pandas")
        index = utc_index(given.block)
        lines = Indicators().over(given)
        return {name: pandas.Series(line, index, name=name) for name, line in lines.items()}
