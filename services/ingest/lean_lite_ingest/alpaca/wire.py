"""Alpaca's messages: bars to rows, replies to hooks, error codes to advice."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgpack import Timestamp

from lean_lite.blocks import Origin
from lean_lite.model.timestamps import to_ns
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import StreamHooks

Message = dict[str, Any]

ORIGINS = {"b": Origin.LIVE, "u": Origin.UPDATED}
NO_COUNT = -1
# In a column -1 means "absent". A negative count becomes -2, so that validate sees it as wrong.
BAD_COUNT = -2
MAX_COUNT = 2**63 - 1  # the largest int64 of a column

KEYS = "check the keys: APCA_API_KEY_ID and APCA_API_SECRET_KEY must belong together"
FORBIDDEN = (
    "check that APCA_API_KEY_ID and APCA_API_SECRET_KEY belong together, and the plan: a free one "
    "has no SIP data of the last 15 minutes (set alpaca.feed to iex)"
)
ADVICE = {
    401: KEYS,
    402: KEYS,
    403: FORBIDDEN,
    405: "the plan has no room for more symbols: unsubscribe others first, or change the plan",
    406: (
        "another program uses the account's only connection: stop it; a connection that broke is "
        "freed by Alpaca within about 90 s, and ingest connects then"
    ),
    409: "the plan does not include this feed: set alpaca.feed to iex, or change the plan",
    410: "Alpaca does not offer bars on this feed: set alpaca.feed to iex or sip",
    411: "the keys lack the scope for data: create new ones",
    422: FORBIDDEN,
    429: "too many requests: lower ingest.rest_requests_per_min to what the plan allows",
}


class MessageDecoder:
    """Decoder of the messages of one stream, which calls the hooks of its feed."""

    def __init__(self, hooks: StreamHooks) -> None:
        self._hooks = hooks

    def on_batch(self, messages: list[Message], wall_ns: int) -> None:
        """Decode the data messages of one frame; those of other types are skipped."""
        rows = []
        for message in messages:
            origin = ORIGINS.get(message.get("T", ""))
            if origin is None:
                continue
            try:
                rows.append(to_row(message, origin, wall_ns))
            except (KeyError, TypeError, ValueError) as error:
                self._hooks.on_unreadable(error)
        self._hooks.on_rows(rows, wall_ns)

    def on_control(self, message: Message) -> None:
        """Decode a reply to a subscription, or an error."""
        if message["T"] == "error":
            code, text = int(message.get("code", 0)), str(message.get("msg", ""))
            self._hooks.on_error(explain(code, text))
        elif message["T"] == "subscription":
            self._hooks.on_subscribed(frozenset(message.get("bars", ())))

    def on_disconnected(self) -> None:
        """Pass on the end of the connection."""
        self._hooks.on_disconnected()


def to_row(message: Mapping[str, Any], origin: Origin, wall_ns: int, symbol: str = "") -> Row:
    """Convert a bar to a row; KeyError, TypeError or ValueError if it is invalid."""
    return Row(
        symbol or str(message["S"]),
        _start_ns(message["t"]),
        _number(message["o"]),
        _number(message["h"]),
        _number(message["l"]),
        _number(message["c"]),
        _number(message["v"]),
        _number(message.get("vw")),
        _count(message.get("n")),
        origin,
        wall_ns,
    )


def explain(code: int, text: str) -> str:
    """Return an error with its code, of the websocket or of HTTP, and what to do about it."""
    advice = ADVICE.get(code)
    return f"{text} ({code})" if advice is None else f"{text} ({code}); {advice}"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _count(value: float | None) -> int:
    if value is None:
        return NO_COUNT
    return int(_check_range(value)) if value >= 0 else BAD_COUNT


def _start_ns(stamp: Timestamp | str) -> int:
    if isinstance(stamp, Timestamp):
        return _check_range(int(stamp.to_unix_nano()))
    return _check_range(to_ns(datetime.fromisoformat(stamp)))


def _check_range[Number: (int, float)](number: Number) -> Number:
    if abs(number) > MAX_COUNT:
        message = f"{number} does not fit into a column of int64"
        raise ValueError(message)
    return number
