"""What the store counts; names are as Prometheus has them."""

from prometheus_client import Counter, Gauge, Histogram

BARS = Counter("lean_lite_store_bars_total", "Bars and revisions committed to history")
REPEATED = Counter("lean_lite_store_repeated_total", "Rows that repeat a bar already stored")
QUARANTINED = Counter("lean_lite_store_quarantined_total", "INVALID rows kept beside history")
FRAMES = Counter("lean_lite_store_frames_total", "GRADED frames committed, markers included")
UNDECODABLE = Counter("lean_lite_store_undecodable_total", "Frames kept as bytes nobody can read")
REREAD = Counter(
    "lean_lite_store_reread_total", "Times that a stream did not continue our position", ["stream"]
)
BULK = Counter("lean_lite_store_bulk_bars_total", "Bars of history fetched on demand, committed")
FETCHES = Counter("lean_lite_store_fetches_total", "Spans that ingest was asked for", ["outcome"])
FLUSH_FAILED = Counter("lean_lite_store_flush_failed_total", "Flushes that the disk refused")
FLUSH_SECONDS = Histogram(
    "lean_lite_store_flush_seconds",
    "From taking frames to having committed and applied them",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
APPLIED_SEQ = Gauge(
    "lean_lite_store_applied_seq", "Sequence of a stream that history includes", ["stream"]
)
PENDING_FRAMES = Gauge("lean_lite_store_pending_frames", "Frames that wait for a flush")
REDIS_UP = Gauge("lean_lite_store_redis_up", "1 while the latest bars reach Valkey")
HISTORY_REQUESTS = Counter(
    "lean_lite_store_history_requests_total", "Answers to md.history", ["outcome"]
)
