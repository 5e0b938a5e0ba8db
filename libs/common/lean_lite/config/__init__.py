"""Every setting of Lean-Lite: what it is called, what it means and where its value came from."""

from lean_lite.config.alpaca import AlpacaConfig
from lean_lite.config.bus import BusConfig
from lean_lite.config.ingest import IngestConfig
from lean_lite.config.loader import Config, Source
from lean_lite.config.metrics import MetricsConfig
from lean_lite.config.service import ServiceConfig
from lean_lite.config.stack import StackConfig
from lean_lite.config.store import StoreConfig
from lean_lite.config.streams import StreamsConfig
from lean_lite.config.validate import ValidateConfig

__all__ = [
    "AlpacaConfig",
    "BusConfig",
    "Config",
    "IngestConfig",
    "MetricsConfig",
    "ServiceConfig",
    "Source",
    "StackConfig",
    "StoreConfig",
    "StreamsConfig",
    "ValidateConfig",
]
