"""Prometheus metrics of metrics itself."""

from prometheus_client import Counter, Gauge

HEARTBEATS = Counter("lean_lite_metrics_heartbeats", "Heartbeats received")
UNDECODABLE = Counter("lean_lite_metrics_undecodable", "Messages that are not heartbeats")
DROPPED = Counter("lean_lite_metrics_dropped_instances", "Instances dropped to bound memory")
INFO = Gauge("lean_lite_metrics_info", "Address that metrics listens on", ["url"])
