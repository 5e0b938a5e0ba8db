"""DataEngine: live bars and history for a strategy."""

from lean_lite.data.engine.engine import DataEngine

__all__ = [
    "DataEngine",
]
