"""Bars and quotes, their resolution and their quality level."""

from lean_lite.model.bars import QuoteBar, TradeBar
from lean_lite.model.quality_level import DataQualityLevel
from lean_lite.model.resolution import Length, Resolution

__all__ = [
    "DataQualityLevel",
    "Length",
    "QuoteBar",
    "Resolution",
    "TradeBar",
]
