"""The streams that setup creates."""

from lean_lite.config.section import Count, Seconds, Section


class StreamsConfig(Section, frozen=True):
    """
    Configure what the streams keep.

    `age_s` and `bytes` bound RAW and GRADED each, `bulk_bytes` the streams of history and
    `event_bytes` that of events; the oldest frames go first. `duplicates_s` is how long the server
    remembers message ids; `replicas` is on how many servers of a cluster a stream lies.
    """

    age_s: Seconds = 3 * 86_400.0
    bytes: Count = 8 * 1024**3
    bulk_bytes: Count = 512 * 1024**2
    event_bytes: Count = 256 * 1024**2
    duplicates_s: Seconds = 600.0
    replicas: Count = 1
