"""The service that owns the sockets."""

from lean_lite.config.section import Count, Seconds, Section


class IngestConfig(Section, frozen=True):
    """
    Configure ingest.

    `symbols` are subscribed from the start, besides what clients ask for; `pending_bars` bounds
    what waits for the bus per lane; `refill_again_s` is when a refilled hole is asked for once
    more, in the feed's time, because late trades correct its last bars.
    """

    symbols: tuple[str, ...] = ()
    pending_bars: Count = 65_536
    forget_s: Seconds = 300.0
    refill_again_s: Seconds = 35.0
    refill_span_s: Seconds = 86_400.0
    rest_timeout_s: Seconds = 30.0
    rest_requests_per_min: Count = 150
