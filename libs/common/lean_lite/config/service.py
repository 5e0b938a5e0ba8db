"""What all services share."""

from typing import Literal

from lean_lite.config.section import Port, Seconds, Section


class ServiceConfig(Section, frozen=True):
    """
    Configure how a service lives.

    It answers for its health on `health_host` and `health_port` (0: a free one), and tells the bus
    every `beat_s` how it is. `drain_s` bounds how long a stop may take; `log_level` and
    `log_format` shape what goes to standard error; `uvloop` swaps the event loop.
    """

    health_host: str = "127.0.0.1"
    health_port: Port = 0
    beat_s: Seconds = 1.0
    drain_s: Seconds = 2.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    uvloop: bool = True
