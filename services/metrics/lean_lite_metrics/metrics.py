"""What metrics counts of itself."""

from prometheus_client import Counter, Gauge

BEATS = Counter("lean_lite_metrics_beats", "Beats heard.")
UNREADABLE = Counter("lean_lite_metrics_unreadable", "Messages that are no beats.")
DROPPED = Counter("lean_lite_metrics_dropped_instances", "Instances forgotten to bound memory.")
INFO = Gauge("lean_lite_metrics_info", "Where metrics listens.", ["url"])
