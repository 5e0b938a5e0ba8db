"""DataMetrics: counts, latencies and rates of a pipeline."""

from lean_lite.data.metrics.metrics import DataMetrics, MetricsSnapshot

__all__ = [
    "DataMetrics",
    "MetricsSnapshot",
]
