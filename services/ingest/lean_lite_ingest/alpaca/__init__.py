"""AlpacaSource: Alpaca's feeds as market data sources."""

from lean_lite.config import AlpacaConfig, Config
from lean_lite.config.sections import NO_KEYS
from lean_lite.errors import ConfigError
from lean_lite_ingest.alpaca.rest import AlpacaHistory, RateLimit
from lean_lite_ingest.alpaca.simulator import SimulatorClock, SimulatorSymbols
from lean_lite_ingest.alpaca.stream import CryptoStream, StockStream
from lean_lite_ingest.alpaca.symbols import SymbolDirectory
from lean_lite_ingest.alpaca.wire import MessageDecoder
from lean_lite_ingest.clock import FeedClock, WallClock
from lean_lite_ingest.source import (
    BarHistory,
    LiveStream,
    MarketDataSource,
    StreamHooks,
    SymbolCheck,
)

ASSET_CLASSES = ("equity", "crypto")


class AlpacaSource:
    """
    Alpaca's feed of one asset class.

    A simulator in its place (`alpaca.simulated`) differs in its clock and in its list of symbols.
    """

    vendor = "Alpaca"

    def __init__(
        self, config: AlpacaConfig, asset_class: str, limit: RateLimit, timeout_s: float
    ) -> None:
        self._config = config
        self.asset_class = asset_class
        self.feed = config.feed_of(asset_class)
        self.simulated = config.simulated
        history = AlpacaHistory(config, asset_class, self.feed, limit, timeout_s)
        self.history: BarHistory = history
        self.clock: FeedClock = WallClock()
        self.symbols: SymbolCheck = SymbolDirectory(self.feed, history)
        if config.simulated:
            self.clock = SimulatorClock(config.rest_url)
            self.symbols = SymbolDirectory(self.feed, SimulatorSymbols(config.rest_url))

    def open_stream(self, hooks: StreamHooks) -> LiveStream:
        """Return the stream of this feed; it connects when it runs."""
        stream_type = CryptoStream if self.asset_class == "crypto" else StockStream
        config = self._config
        return stream_type(
            str(config.key_id),
            str(config.secret_key),
            self.feed,
            config.stream_url,
            MessageDecoder(hooks),
        )


def alpaca_sources(config: Config) -> list[MarketDataSource]:
    """Return the sources of the account, one for each asset class; they share its request rate."""
    limit = RateLimit(config.ingest.rest_requests_per_min)
    timeout_s = config.ingest.rest_timeout_s
    return [
        AlpacaSource(config.alpaca, asset_class, limit, timeout_s) for asset_class in ASSET_CLASSES
    ]


def check_keys(config: AlpacaConfig) -> None:
    """Raise ConfigError if a key is missing."""
    for key in ("key_id", "secret_key"):
        if not getattr(config, key):
            raise ConfigError(f"alpaca.{key}", NO_KEYS)
