"""Cache of historical bars."""

from lean_lite.data.cache.cache import DataCache

__all__ = [
    "DataCache",
]
