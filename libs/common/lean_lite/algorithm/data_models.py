"""Bars, resolutions and quality levels at the import path that strategies use."""

from lean_lite.model import DataQualityLevel, Length, QuoteBar, Resolution, TradeBar

__all__ = [
    "DataQualityLevel",
    "Length",
    "QuoteBar",
    "Resolution",
    "TradeBar",
]
