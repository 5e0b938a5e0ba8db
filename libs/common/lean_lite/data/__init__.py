"""What a strategy works with; names are loaded when they are first used."""

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which costs more to load than this module
if TYPE_CHECKING:
    from lean_lite.data.alpaca_feed import AlpacaDataFeed
    from lean_lite.data.bars import Bars
    from lean_lite.data.buffer import DataBuffer
    from lean_lite.data.cache import DataCache
    from lean_lite.data.engine import DataEngine
    from lean_lite.data.feed import DataFeed
    from lean_lite.data.indicators import Indicators
    from lean_lite.data.live import Live
    from lean_lite.data.metrics import DataMetrics
    from lean_lite.data.persistence import DataPersistence
    from lean_lite.data.resampling import Resampler
    from lean_lite.data.streams import BarStream, Slice
    from lean_lite.data.transformer import DataTransformer
    from lean_lite.data.validator import DataValidator
    from lean_lite.model import DataQualityLevel, Resolution, TradeBar

_MODELS = "lean_lite.model"
_HOMES = {
    "AlpacaDataFeed": "alpaca_feed",
    "BarStream": "streams",
    "Bars": "bars",
    "DataBuffer": "buffer",
    "DataCache": "cache",
    "DataEngine": "engine",
    "DataFeed": "feed",
    "DataMetrics": "metrics",
    "DataPersistence": "persistence",
    "DataQualityLevel": _MODELS,
    "DataTransformer": "transformer",
    "DataValidator": "validator",
    "Indicators": "indicators",
    "Live": "live",
    "Resampler": "resampling",
    "Resolution": _MODELS,
    "Slice": "streams",
    "TradeBar": _MODELS,
}

__all__ = [
    "AlpacaDataFeed",
    "BarStream",
    "Bars",
    "DataBuffer",
    "DataCache",
    "DataEngine",
    "DataFeed",
    "DataMetrics",
    "DataPersistence",
    "DataQualityLevel",
    "DataTransformer",
    "DataValidator",
    "Indicators",
    "Live",
    "Resampler",
    "Resolution",
    "Slice",
    "TradeBar",
]


def __getattr__(name: str) -> object:
    """Import the module of a public name."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    home = _HOMES[name]
    return getattr(import_module(home if "." in home else f"lean_lite.data.{home}"), name)
