"""The data engine."""

from lean_lite.data.engine.engine import DataEngine

__all__ = [
    "DataEngine",
]
