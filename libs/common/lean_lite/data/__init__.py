"""What a strategy works with; names are loaded when they are first used."""

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which costs more to load than this module
if TYPE_CHECKING:
    from lean_lite.data.alpaca_feed import AlpacaDataFeed
    from lean_lite.data.bars import Bars
    from lean_lite.data.engine import DataEngine
    from lean_lite.data.live import Live
    from lean_lite.feeds.feed import DataFeed

__all__ = ["AlpacaDataFeed", "Bars", "DataEngine", "DataFeed", "Live"]

_HOMES = {
    "AlpacaDataFeed": "lean_lite.data.alpaca_feed",
    "Bars": "lean_lite.data.bars",
    "DataEngine": "lean_lite.data.engine",
    "DataFeed": "lean_lite.feeds.feed",
    "Live": "lean_lite.data.live",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)
