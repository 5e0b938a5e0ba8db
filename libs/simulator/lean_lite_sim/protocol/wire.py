"""Encoding of websocket messages: arrays of maps, in MessagePack or JSON."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, cast

import msgspec

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.timestamps import SECOND_NS, format_instant

Codec = Literal["msgpack", "json"]
Value = str | float | bool | None | list[str] | msgspec.msgpack.Ext
Channel = Literal["bars", "updatedBars", "dailyBars"]

CHANNEL_TYPES: Final[dict[Channel, str]] = {"bars": "b", "updatedBars": "u", "dailyBars": "d"}
ERRORS: Final = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    411: "insufficient scope",
    500: "internal error",
}

_TIMESTAMP_EXTENSION: Final = -1
_FRACTION_SHIFT: Final = 34
_SHORT_ARRAY: Final = 16
_MIDDLE_ARRAY: Final = 1 << 16


class Refusal(Exception):
    """A request that gets an error as its reply; `code` is Alpaca's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code} {ERRORS.get(code, 'error')}")
        self.code = code


class Message:
    """One message for all clients, encoded at most once per codec."""

    __slots__ = ("_body", "_encoded", "_instant_ns", "channel", "symbol")

    def __init__(
        self,
        channel: Channel | None,
        symbol: str,
        body: dict[str, Value],
        instant_ns: int,
    ) -> None:
        self.channel = channel
        self.symbol = symbol
        self._body = body
        self._instant_ns = instant_ns
        self._encoded: dict[Codec, bytes] = {}

    def encode(self, codec: Codec) -> bytes:
        """Return the bytes of this message, without the array around it."""
        encoded = self._encoded.get(codec)
        if encoded is None:
            encoded = self._encoded[codec] = _encode(self._body, self._instant_ns, codec)
        return encoded


def bar_message(channel: Channel, bar: Bar, *, unknown_keys: bool = False) -> Message:
    """Build the message of a bar on a channel."""
    body: dict[str, Value] = {
        "T": CHANNEL_TYPES[channel],
        "S": bar.symbol,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "t": None,
        "n": bar.trade_count,
        "vw": bar.vwap,
    }
    if unknown_keys:
        body |= {"zz": 1, "unknown": "key"}
    return Message(channel, bar.symbol, body, bar.start_ns)


def unknown_message(instant_ns: int) -> Message:
    """Build a message of an unknown type."""
    body: dict[str, Value] = {"T": "zz", "S": "UNKNOWN", "t": None, "x": 1}
    return Message(None, "UNKNOWN", body, instant_ns)


def encode_frame(messages: Sequence[bytes], codec: Codec) -> bytes | str:
    """Join encoded messages to one frame: binary for MessagePack, text for JSON."""
    if codec == "json":
        return "[" + b",".join(messages).decode() + "]"
    return _array_header(len(messages)) + b"".join(messages)


def encode_control(body: dict[str, Value], codec: Codec) -> bytes | str:
    """Encode a frame of one control message."""
    return encode_frame([_encode(body, 0, codec)], codec)


def encode_success(text: str, codec: Codec) -> bytes | str:
    """Encode the frame that reports a success."""
    return encode_control({"T": "success", "msg": text}, codec)


def encode_error(code: int, codec: Codec) -> bytes | str:
    """Encode the frame that reports an error."""
    return encode_control({"T": "error", "code": code, "msg": ERRORS.get(code, "error")}, codec)


def decode_request(frame: bytes | str) -> dict[str, object]:
    """
    Decode a frame of a client: JSON in a text frame, MessagePack or JSON in a binary one.

    Raises ValueError for anything else than a map.
    """
    request = msgspec.json.decode(frame) if isinstance(frame, str) else _decode_binary(frame)
    if not isinstance(request, dict):
        message = "invalid request: expected a map"
        raise ValueError(message)  # noqa: TRY004 - the sender's error, not the caller's
    return cast("dict[str, object]", request)


def strings(value: object) -> Iterable[str]:
    """Return a list of strings unchanged; raise ValueError for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        message = f"invalid value {value!r}: expected a list of strings"
        raise ValueError(message)
    return value


def _decode_binary(frame: bytes) -> object:
    try:
        return msgspec.msgpack.decode(frame)
    except msgspec.DecodeError:
        return msgspec.json.decode(frame)


def _encode(body: dict[str, Value], instant_ns: int, codec: Codec) -> bytes:
    if codec == "json":
        stamped = body | {"t": format_instant(instant_ns)} if "t" in body else body
        return msgspec.json.encode(stamped)
    stamped = body | {"t": _timestamp(instant_ns)} if "t" in body else body
    return msgspec.msgpack.encode(stamped)


def _timestamp(instant_ns: int) -> msgspec.msgpack.Ext:
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    if not fraction_ns and seconds < 1 << 32:
        data = seconds.to_bytes(4, "big")
    elif seconds < 1 << _FRACTION_SHIFT:
        data = (fraction_ns << _FRACTION_SHIFT | seconds).to_bytes(8, "big")
    else:
        data = fraction_ns.to_bytes(4, "big") + seconds.to_bytes(8, "big", signed=True)
    return msgspec.msgpack.Ext(_TIMESTAMP_EXTENSION, data)


def _array_header(length: int) -> bytes:
    if length < _SHORT_ARRAY:
        return bytes([0x90 | length])
    if length < _MIDDLE_ARRAY:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")
