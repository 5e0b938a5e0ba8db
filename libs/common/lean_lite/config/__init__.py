"""Settings: their names, their meaning, and the origin of each value."""

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
