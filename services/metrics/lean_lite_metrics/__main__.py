"""`python -m lean_lite_metrics`."""

from lean_lite.service import run
from lean_lite_metrics.service import MetricsService

run("metrics", MetricsService)
