"""What ingest counts."""

from prometheus_client import Counter, Gauge

PUBLISHED = Counter("lean_lite_ingest_published", "Bars that RAW has acknowledged", ["feed"])
FRAMES = Counter("lean_lite_ingest_frames", "Frames that RAW has acknowledged", ["feed"])
RECEIVED = Counter("lean_lite_ingest_received", "Bars off the wire", ["feed"])
REFILLED = Counter("lean_lite_ingest_refilled", "Bars fetched by REST for a hole", ["feed"])
BULK = Counter("lean_lite_ingest_bulk_bars", "Bars of history published in bulk", ["feed"])
DROPPED = Counter("lean_lite_ingest_dropped", "Bars that found the queue full", ["feed"])
UNREADABLE = Counter("lean_lite_ingest_unreadable", "Messages that are no bar", ["feed"])
CONNECTS = Counter("lean_lite_ingest_connects", "Connections that Alpaca accepted", ["feed"])
REST_FAILED = Counter("lean_lite_ingest_rest_failed", "REST requests that failed", ["feed"])
CONNECTED = Gauge("lean_lite_ingest_connected", "1 while the feed is subscribed", ["feed"])
SYMBOLS = Gauge("lean_lite_ingest_symbols", "Symbols wanted", ["feed"])
RECEIVED_AT = Gauge(
    "lean_lite_ingest_received_timestamp_seconds", "When the last bar came in, wall clock", ["feed"]
)
