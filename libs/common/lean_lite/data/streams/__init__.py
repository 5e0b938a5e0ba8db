"""Streams of bars and of time slices."""

from lean_lite.data.streams.alignment import Slice
from lean_lite.data.streams.bar_stream import BarStream
from lean_lite.data.streams.slices import Slices

__all__ = [
    "BarStream",
    "Slice",
    "Slices",
]
