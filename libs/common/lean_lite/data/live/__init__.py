"""Live records of symbols."""

from lean_lite.data.live.live import Live

__all__ = [
    "Live",
]
