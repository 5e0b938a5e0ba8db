"""What a strategy works with; names are loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lean_lite.data.bars import Bars
    from lean_lite.data.engine import DataEngine
    from lean_lite.data.live import Live

__all__ = ["Bars", "DataEngine", "Live"]

_HOMES = {"Bars": "bars", "DataEngine": "engine", "Live": "live"}


def __getattr__(name: str) -> object:
    """Import the module of a public name."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
