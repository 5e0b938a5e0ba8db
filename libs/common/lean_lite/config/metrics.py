"""The service that adds up the others' counters."""

from lean_lite.config.section import Port, Seconds, Section


class MetricsConfig(Section, frozen=True):
    """Configure metrics: where it listens, and when a service that is not heard counts as gone."""

    host: str = "127.0.0.1"
    port: Port = 0
    gone_s: Seconds = 5.0
