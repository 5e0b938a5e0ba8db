"""Prometheus metrics of ingest."""

from prometheus_client import Counter, Gauge

PUBLISHED = Counter("lean_lite_ingest_published", "Bars acknowledged by RAW", ["feed"])
FRAMES = Counter("lean_lite_ingest_frames", "Frames acknowledged by RAW", ["feed"])
RECEIVED = Counter("lean_lite_ingest_received", "Bars received from the stream", ["feed"])
GAP_BARS = Counter("lean_lite_ingest_gap_bars", "Bars fetched by REST to fill gaps", ["feed"])
BULK = Counter("lean_lite_ingest_bulk_bars", "Bars of requested history published", ["feed"])
DROPPED = Counter("lean_lite_ingest_dropped", "Bars dropped by a full queue", ["feed"])
UNREADABLE = Counter(
    "lean_lite_ingest_unreadable", "Bars of the stream that could not be decoded", ["feed"]
)
CONNECTS = Counter("lean_lite_ingest_connects", "Connections accepted by the vendor", ["feed"])
REST_FAILED = Counter("lean_lite_ingest_rest_failed", "Failed REST requests", ["feed"])
CONNECTED = Gauge("lean_lite_ingest_connected", "1 while the feed is subscribed", ["feed"])
SYMBOLS = Gauge("lean_lite_ingest_symbols", "Symbols with interest", ["feed"])
RECEIVED_AT = Gauge(
    "lean_lite_ingest_received_timestamp_seconds", "Wall time of the last received bar", ["feed"]
)
