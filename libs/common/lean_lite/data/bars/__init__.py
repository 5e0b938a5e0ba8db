"""Sequences of bars."""

from lean_lite.data.bars.bars import Bars

__all__ = [
    "Bars",
]
