"""Which counter says how many bars have passed each hop of the pipeline."""

HOPS = {
    "published": "lean_lite_ingest_published_total",
    "graded": "lean_lite_validate_graded_total",
    "quarantined": "lean_lite_validate_quarantined_total",
    "repeated": "lean_lite_validate_repeated_total",
    "stored": "lean_lite_store_bars_total",
}
