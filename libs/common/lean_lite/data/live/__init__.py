"""Live: live records of symbols, complete and in order."""

from lean_lite.data.live.live import Live

__all__ = [
    "Live",
]
