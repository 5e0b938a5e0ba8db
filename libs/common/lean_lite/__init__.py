"""
Live and historical market data, graded bar by bar, on a bus of your own.

`lean_lite.data` has all that a strategy works with; names are loaded when they are first used.
"""

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which costs more to load than this module
if TYPE_CHECKING:
    from lean_lite.data.engine import DataEngine

    __version__: str

_HOMES = {
    "DataEngine": ("lean_lite.data.engine", "DataEngine"),
    "__version__": ("lean_lite.version", "VERSION"),
}

__all__ = ["DataEngine", "__version__"]


def __getattr__(name: str) -> object:
    """Import the module of a public name."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
