"""Public names of the client, each loaded when it is first used."""

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

_MODEL = "lean_lite.model"
# Where a name is: a module of this package, or an absolute one.
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
    "DataQualityLevel": _MODEL,
    "DataTransformer": "transformer",
    "DataValidator": "validator",
    "Indicators": "indicators",
    "Live": "live",
    "Resampler": "resampling",
    "Resolution": _MODEL,
    "Slice": "streams",
    "TradeBar": _MODEL,
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
    """Import a public name from its module."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module = _HOMES[name]
    return getattr(import_module(module if "." in module else f"lean_lite.data.{module}"), name)
