"""Metrics of a client process."""

from lean_lite.data.metrics.metrics import DataMetrics, MetricsSnapshot

__all__ = [
    "DataMetrics",
    "MetricsSnapshot",
]
