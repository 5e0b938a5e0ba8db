"""Recorded market data, metrics and errors of a strategy; needs the extra `persistence`."""

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which costs more to load than this module
if TYPE_CHECKING:
    from lean_lite.data.persistence.persistence import DataPersistence, Record, Retention

__all__ = ["DataPersistence", "Record", "Retention"]


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module("lean_lite.data.persistence.persistence"), name)
