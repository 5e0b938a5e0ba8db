"""SimulatorSettings: how a simulator behaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from lean_lite_sim.faults import UPDATE_AFTER_NS, Faults
from lean_lite_sim.market.timestamps import SECOND_NS
from lean_lite_sim.protocol.endpoints import FEEDS, KNOWN_CHANNELS

DEFAULT_KEY: Final = "simulator"
MAX_BAR_DELAY_S: Final = UPDATE_AFTER_NS / SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """
    Settings of a simulator. Raises ValueError for invalid values.

    Seconds named `feed` are those of the feed clock, the others those of the wall clock.
    """

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 0
    """The port of REST and of the control paths; 0: a free one."""
    stream_port: int = 0
    """The port of the websocket; 0: a free one."""
    start: str = "open"
    """Feed time at the start: RFC-3339, `open` or `last` (09:30 of the first or the latest day
    that all symbols have)."""
    speed: float = 60.0
    """Feed seconds per wall second."""
    hold: bool = False
    """Hold the clock at the start until the first subscription."""
    today: date | None = None
    """The first day that has not ended; None: by the wall clock."""
    keys: Mapping[str, str] = field(default_factory=lambda: {DEFAULT_KEY: DEFAULT_KEY}, repr=False)
    """Secret by key id."""
    feeds: frozenset[str] = FEEDS
    """The feeds that the keys may use; the others answer 409."""
    symbols: int = 0
    """How many synthetic symbols to add."""
    also: tuple[str, ...] = ()
    """Synthetic stocks to add by name."""
    seed: int = 0
    """The seed of the synthetic symbols."""
    bar_delay_feed_s: float = 0.05
    """How long after its end a bar is sent."""
    frame_size: int = 100
    """The most messages in a frame; 0: one frame for all that is due at one time."""
    queue_frames: int = 4096
    """How many frames may wait for a slow client before it gets 407."""
    connection_limit: int = 1
    """Connections per endpoint and key; more get 406."""
    symbol_limit: int | None = None
    """Symbols per connection; more get 405."""
    symbol_limit_channels: frozenset[str] = KNOWN_CHANNELS
    """The channels that count against the symbol limit."""
    auth_timeout_s: float = 10.0
    """How long a client has to authenticate."""
    rate_limit_per_minute: int = 10_000
    """REST requests per key and minute; more get 429."""
    recent_sip: bool = True
    """Whether REST answers for the last 15 minutes of SIP."""
    faults: Faults = field(default_factory=Faults)
    """The standing faults from the start."""

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        _require(self.speed > 0, "speed", "above 0")
        _require(0 <= self.bar_delay_feed_s < MAX_BAR_DELAY_S, "bar_delay_feed_s", "in [0, 30)")
        for name in ("connection_limit", "queue_frames", "rate_limit_per_minute"):
            _require(getattr(self, name) >= 1, name, "at least 1")
        for name in ("symbols", "frame_size", "port", "stream_port"):
            _require(getattr(self, name) >= 0, name, "at least 0")
        _require(self.feeds <= FEEDS, "feeds", f"among {', '.join(sorted(FEEDS))}")


def _require(ok: bool, name: str, expected: str) -> None:  # noqa: FBT001
    if not ok:
        message = f"{name} must be {expected}"
        raise ValueError(message)
