"""Longer bars from shorter ones."""

from lean_lite.data.resampling.resampler import Resampled, Resampler

__all__ = [
    "Resampled",
    "Resampler",
]
