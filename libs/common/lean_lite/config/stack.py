"""The stack that runs on one machine."""

from lean_lite.config.section import Port, Seconds, Section


class StackConfig(Section, frozen=True):
    """
    Configure the embedded stack.

    An empty `folder` means the user's data folder. Empty `nats_server` and `valkey_server` mean the
    programs that come with Lean-Lite. `speed` and `start` set the simulator's clock.
    """

    folder: str = ""
    nats_server: str = ""
    valkey_server: str = ""
    start_s: Seconds = 30.0
    metrics_port: Port = 0
    speed: Seconds = 600.0
    start: str = "open"
