"""Bars, the sequence that history returns."""

from lean_lite.data.bars.bars import Bars

__all__ = [
    "Bars",
]
