"""Prometheus metrics of the store."""

from prometheus_client import Counter, Gauge, Histogram

BARS = Counter("lean_lite_store_bars_total", "Bars and revisions committed to history")
REPEATED = Counter("lean_lite_store_repeated_total", "Rows equal to a version already stored")
QUARANTINED = Counter("lean_lite_store_quarantined_total", "INVALID rows stored beside history")
FRAMES = Counter("lean_lite_store_frames_total", "GRADED frames committed, markers included")
UNDECODABLE = Counter(
    "lean_lite_store_undecodable_total", "Frames that can't be decoded, stored as bytes"
)
REREAD = Counter(
    "lean_lite_store_reread_total",
    "Times a stream did not continue the stored position",
    ["stream"],
)
BULK = Counter("lean_lite_store_bulk_bars_total", "Bars of bulk history committed")
FETCHES = Counter("lean_lite_store_fetches_total", "Spans requested from ingest", ["outcome"])
FLUSH_FAILED = Counter("lean_lite_store_flush_failed_total", "Flushes refused by the disk")
FLUSH_SECONDS = Histogram(
    "lean_lite_store_flush_seconds",
    "Time from taking frames until they are committed and visible",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
APPLIED_SEQ = Gauge(
    "lean_lite_store_applied_seq", "Sequence of a stream that history includes", ["stream"]
)
PENDING_FRAMES = Gauge("lean_lite_store_pending_frames", "Frames waiting for a flush")
REDIS_UP = Gauge("lean_lite_store_redis_up", "1 while the latest bars reach Valkey")
HISTORY_REQUESTS = Counter(
    "lean_lite_store_history_requests_total", "Answers to md.history", ["outcome"]
)
