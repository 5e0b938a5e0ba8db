"""BarStream, Slices and Slice: bars and time slices as async iterators."""

from lean_lite.data.streams.alignment import Slice
from lean_lite.data.streams.bar_stream import BarStream
from lean_lite.data.streams.slices import Slices

__all__ = [
    "BarStream",
    "Slice",
    "Slices",
]
