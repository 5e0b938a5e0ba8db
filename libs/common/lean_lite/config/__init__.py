"""Every setting of Lean-Lite: what it is called, what it means and where its value came from."""

from lean_lite.config.loader import Config, SettingSource
from lean_lite.config.sections import (
    AlpacaConfig,
    BusConfig,
    IngestConfig,
    MetricsConfig,
    ServiceConfig,
    StackConfig,
    StoreConfig,
    StreamsConfig,
    ValidateConfig,
)

__all__ = [
    "AlpacaConfig",
    "BusConfig",
    "Config",
    "IngestConfig",
    "MetricsConfig",
    "ServiceConfig",
    "SettingSource",
    "StackConfig",
    "StoreConfig",
    "StreamsConfig",
    "ValidateConfig",
]
