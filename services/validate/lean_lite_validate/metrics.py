"""Prometheus metrics of validate, counted once a frame is stored in GRADED."""

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter("lean_lite_validate_frames", "Frames graded")
GRADED = Counter("lean_lite_validate_graded", "Bars graded better than INVALID, repeats excluded")
QUARANTINED = Counter("lean_lite_validate_quarantined", "Bars graded INVALID, repeats excluded")
REPEATED = Counter("lean_lite_validate_repeated", "Bars equal to one of the same key before")
UNDECODABLE = Counter("lean_lite_validate_undecodable", "Frames whose bytes are not a block")
BULK = Counter("lean_lite_validate_bulk_bars", "Bars of bulk history graded")
REBUILT = Counter("lean_lite_validate_rebuilt_frames", "Frames read again to rebuild a window")
RESTARTED = Counter("lean_lite_validate_restarted_lanes", "Lanes whose RAW position was invalid")
PARTITIONS = Gauge("lean_lite_validate_partitions", "Partitions owned now")
GRADE_SECONDS = Histogram(
    "lean_lite_validate_frame_seconds",
    "Time from a RAW frame's arrival here until its GRADED frame was acknowledged",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
