"""Run the metrics service."""

from lean_lite.service import run
from lean_lite_metrics.service import MetricsService

run("metrics", MetricsService)
