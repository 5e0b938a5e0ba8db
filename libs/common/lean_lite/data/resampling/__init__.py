"""Longer bars from shorter ones, bar by bar or of whole `Bars`."""

from lean_lite.data.resampling.resampler import Resampled, Resampler

__all__ = [
    "Resampled",
    "Resampler",
]
