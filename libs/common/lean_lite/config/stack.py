"""The stack that runs on one machine."""

from typing import Annotated, Literal

import msgspec

from lean_lite.config.section import Port, Seconds, Section


class StackConfig(Section, frozen=True):
    """
    Configure the embedded stack.

    `feed` (also LEAN_LITE_FEED) decides between the market and the simulator. An empty `folder`
    means the user's data folder. Empty `nats_server` and `valkey_server` mean the programs that
    come with Lean-Lite. A start may take `start_s`; a shared stack lingers for `linger_s` after its
    last user. `metrics_port` is that of its page (0: a free one). `speed` and
    `start` (`open`, `last` or an ISO time) set the simulator's clock; 0 and empty mean 60 times
    from `last` for a shared stack, and 600 times from `open` for `lean-lite demo`.
    """

    feed: Literal["alpaca", "simulator"] = "alpaca"
    folder: str = ""
    nats_server: str = ""
    valkey_server: str = ""
    start_s: Seconds = 30.0
    linger_s: Seconds = 10.0
    metrics_port: Port = 0
    speed: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    start: str = ""
