"""The service that adds up the others' counters."""

from lean_lite.config.section import Port, Seconds, Section


class MetricsConfig(Section, frozen=True):
    """
    Configure metrics.

    It listens on `host` and `port` (0: a free one); a service not heard for `gone_s` is gone.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    gone_s: Seconds = 5.0
