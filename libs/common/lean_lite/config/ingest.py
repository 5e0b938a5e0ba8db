"""The service that owns the sockets."""

from lean_lite.config.section import Count, Seconds, Section


class IngestConfig(Section, frozen=True):
    """
    Configure ingest.

    `symbols` are subscribed from the start, besides what clients ask for; one that nobody has asked
    for since `forget_s` is left out. `pending_bars` bounds what waits for the bus per lane.
    `refill_span_s` bounds the hole that is filled; `refill_again_s` is when it is asked for once
    more, in the feed's time, because late trades correct its last bars. `rest_timeout_s` bounds a
    request to Alpaca's REST service, and `rest_requests_per_min` how many there are.
    """

    symbols: tuple[str, ...] = ()
    pending_bars: Count = 65_536
    forget_s: Seconds = 300.0
    refill_again_s: Seconds = 35.0
    refill_span_s: Seconds = 86_400.0
    rest_timeout_s: Seconds = 30.0
    rest_requests_per_min: Count = 150
