"""Faults, ConnectionFault, FaultHistory: faults to inject, and which were in force when."""

import difflib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.randomness import happens
from lean_lite_sim.market.timestamps import SECOND_NS

# Alpaca sends an updated bar half a minute after the end of its minute.
UPDATE_AFTER_NS: Final = 30 * SECOND_NS

_ALWAYS: Final = -(2**63)
_HANDSHAKE_STATUSES: Final = (400, 401, 403, 404, 429, 500, 502, 503, 504)
_REST_STATUSES: Final = (401, 403, 429, 500, 502, 503, 504)
_CLOSE_CODES: Final = range(1000, 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """
    Standing faults, in force until they are cleared; none by default.

    Fractions are shares of all bars between 0 and 1; `seed` decides which bars. Raises ValueError
    for a value out of its range.
    """

    no_greeting: bool = False
    """Accept a connection and send nothing."""
    auth_fail: int = 0
    """Refuse this many attempts with 402, even with correct keys."""
    auth_delay_s: float = 0.0
    """Reply to an attempt this many wall seconds later."""
    linger_s: float = 0.0
    """Count a broken connection against the limit (406) for this many wall seconds."""
    handshake_status: int = 0
    """Reply to the websocket handshake with this HTTP status."""
    post_auth_error: int = 0
    """Reply to every subscription with this error code and send no data."""
    slow_client_frames: int = 0
    """Close a client with 407 when more frames wait for it; 0: as in the settings."""
    frame_size: int = 0
    """Put at most this many messages into a frame; 0: as in the settings."""
    late_fraction: float = 0.0
    """Send bars with part of their volume, and all of it as an updated bar 30 s later."""
    duplicate_fraction: float = 0.0
    """Send bars twice."""
    out_of_order_fraction: float = 0.0
    """Send bars one minute late, after their successor."""
    unknown_types: bool = False
    """Add a message of an unknown type every minute."""
    unknown_keys: bool = False
    """Add unknown keys to every bar."""
    rest_status: int = 0
    """Reply to every request for market data with this HTTP status."""
    seed: int = 0
    """Decides which bars the fractions select."""

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        for name in ("late_fraction", "duplicate_fraction", "out_of_order_fraction"):
            _require(0 <= getattr(self, name) <= 1, name, "between 0 and 1")
        for name in ("auth_fail", "auth_delay_s", "linger_s", "slow_client_frames", "frame_size"):
            _require(getattr(self, name) >= 0, name, "at least 0")
        _require_status(self.handshake_status, _HANDSHAKE_STATUSES, "handshake_status")
        _require_status(self.rest_status, _REST_STATUSES, "rest_status")

    def is_late(self, bar: Bar) -> bool:
        """Return whether a bar is first sent with part of its volume."""
        return bar.volume > 1 and happens(
            self.late_fraction,
            self.seed,
            "late",
            bar.symbol,
            bar.start_ns,
        )

    def is_duplicate(self, bar: Bar) -> bool:
        """Return whether a bar is sent twice."""
        return happens(self.duplicate_fraction, self.seed, "duplicate", bar.symbol, bar.start_ns)

    def is_out_of_order(self, bar: Bar) -> bool:
        """Return whether a bar is sent after its successor."""
        return happens(self.out_of_order_fraction, self.seed, "order", bar.symbol, bar.start_ns)


class ConnectionFault(NamedTuple):
    """A fault of every connection that is open, once; usually one of the four."""

    close_code: int | None = None
    abort: bool = False
    half_open_s: float | None = None
    mute_s: float | None = None


class FaultHistory:
    """
    The standing faults by feed time.

    A bar has the faults of the time at which it is due, so that the stream and REST agree about it
    whenever they send it.
    """

    def __init__(self, faults: Faults) -> None:
        self._since = [_ALWAYS]
        self._faults = [faults]

    @property
    def latest(self) -> Faults:
        """The faults in force now."""
        return self._faults[-1]

    def at(self, feed_ns: int) -> Faults:
        """Return the faults in force at a feed time."""
        return self._faults[bisect_right(self._since, feed_ns) - 1]

    def change(self, faults: Faults, feed_ns: int) -> None:
        """Set the faults in force from a feed time on."""
        self._since.append(feed_ns)
        self._faults.append(faults)


def first_version(bar: Bar) -> Bar:
    """Return the first version of a late bar: half of its volume and of its trades, if any."""
    volume = bar.volume // 2 if isinstance(bar.volume, int) else bar.volume / 2
    trades = None if bar.trade_count is None else (bar.trade_count + 1) // 2
    return bar._replace(volume=volume, trade_count=trades)


def parse_faults(current: Faults, changes: Mapping[str, object]) -> tuple[Faults, ConnectionFault]:
    """
    Apply changes by name; return all standing faults, and the fault of open connections.

    Raises ValueError for an unknown name, with the nearest one, or for an invalid value.
    """
    values = {name: _check(name, value) for name, value in changes.items()}
    once = {name: value for name, value in values.items() if name in ConnectionFault._fields}
    standing = {name: value for name, value in values.items() if name not in once}
    return replace(current, **standing), ConnectionFault(**once)  # type: ignore[arg-type]


_KINDS: Final[dict[str, type]] = {
    **{field.name: type(field.default) for field in fields(Faults)},
    "close_code": int,
    "abort": bool,
    "half_open_s": float,
    "mute_s": float,
}


def _check(name: str, value: object) -> object:
    if name not in _KINDS:
        near = difflib.get_close_matches(name, _KINDS, 1, 0.0)
        message = f"unknown fault {name!r}; did you mean {near[0]!r}?"
        raise ValueError(message)
    kind = _KINDS[name]
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        message = f"{name} must be {kind.__name__}, not {value!r}"
        raise ValueError(message)
    if name == "close_code":
        _require(value in _CLOSE_CODES, name, "between 1000 and 4999")
    if name in ("half_open_s", "mute_s"):
        _require(isinstance(value, int | float) and value > 0, name, "above 0")
    return value


def _require_status(value: int, allowed: tuple[int, ...], name: str) -> None:
    _require(value in (0, *allowed), name, f"one of 0, {', '.join(map(str, allowed))}")


def _require(ok: bool, name: str, expected: str) -> None:  # noqa: FBT001
    if not ok:
        message = f"{name} must be {expected}"
        raise ValueError(message)
