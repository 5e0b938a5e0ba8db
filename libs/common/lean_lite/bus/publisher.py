"""
Write frames to one subject of a stream, exactly once and as its only owner.

One publish is unacknowledged at a time and names the sequence it expects to follow. The server
checks that fence before it looks for a duplicate id, so a resend after a lost acknowledgement is
refused like a stranger's write: the subject's last message then tells which of the two it was.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from nats.js.errors import NotFoundError

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus
from lean_lite.bus.leases import Lease
from lean_lite.bus.retry import retry
from lean_lite.errors import BusError, BusUnavailable, Fenced, LeaseLost
from lean_lite.protocol.headers import EXPECTED_LAST, MARKER, MSG_ID

WRONG_LAST_SEQUENCE = 10071


class LastFrame(NamedTuple):
    """Hold the newest frame of a subject; sequence 0 means there is none."""

    seq: int
    headers: Mapping[str, str]
    payload: bytes


class _ServerError(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _ServerError | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode


class FencedPublisher:
    """
    Own one subject of a stream under a lease.

    `take_over` first; then `publish` as often as wanted, never two at once.
    """

    def __init__(self, bus: Bus, stream: str, subject: str, lease: Lease) -> None:
        """Bind the subject to its lease; nothing is written yet."""
        self._bus = bus
        self._connection = bus.connection
        self._stream = stream
        self.subject = subject
        self._lease = lease
        self._count = 0
        self.last_seq = 0

    async def take_over(self, payload: bytes, *, keep: tuple[str, ...] = ()) -> LastFrame:
        """
        Write an empty frame that fences every earlier owner off, and return the frame before it.

        `payload` is that empty frame; `keep` names the headers it carries on from the frame before.
        """
        while True:
            last = await self.last_frame()
            self.last_seq = last.seq
            carried = {name: last.headers[name] for name in keep if name in last.headers}
            try:
                await self.publish(payload, carried | {MARKER: "1"})
            except Fenced:
                # The earlier owner got one more frame in; its lease is gone, so this ends.
                continue
            return last

    async def last_frame(self) -> LastFrame:
        """Return the newest frame of the subject, waiting for the server while the lease holds."""
        return await retry(self._read_last_frame, TRANSIENT_ERRORS)

    async def _read_last_frame(self) -> LastFrame:
        self._check()
        try:
            message = await self._bus.jetstream.get_last_msg(self._stream, self.subject)
        except NotFoundError:
            return LastFrame(0, {}, b"")
        return LastFrame(message.seq or 0, message.headers or {}, message.data or b"")

    async def publish(self, payload: bytes, headers: Mapping[str, str]) -> int:
        """
        Write one frame and return its sequence.

        Lost connections and acknowledgements are retried while the lease holds. Fenced when
        another owner has written, LeaseLost when the lease ran out first, BusError when the
        server refuses the frame for good.
        """
        self._count += 1
        message_id = f"{self._lease.revision}:{self.subject}:{self._count}"
        fenced = {**headers, MSG_ID: message_id, EXPECTED_LAST: str(self.last_seq)}
        self._check_size(payload, fenced)
        ack = await retry(
            lambda: self._request(payload, fenced), (BusUnavailable, *TRANSIENT_ERRORS)
        )
        if ack.error is None:
            self.last_seq = ack.seq
            return ack.seq
        if ack.error.err_code == WRONG_LAST_SEQUENCE:
            return await self._resolve_lost_ack(message_id)
        message = f"{self.subject}: the server refused a frame: {ack.error.description}"
        raise BusError(message)

    async def _request(self, payload: bytes, headers: dict[str, str]) -> _Ack:
        """Send a frame once and return the server's answer."""
        self._check()
        timeout_s = self._bus.config.request_timeout_s
        reply = await self._connection.request(
            self.subject, payload, timeout=timeout_s, headers=headers
        )
        ack = _decode_ack(reply.data)
        if ack.error is not None and not ack.error.err_code:
            # A server without a stream leader yet answers without a code: that passes.
            raise BusUnavailable(ack.error.description)
        return ack

    async def _resolve_lost_ack(self, message_id: str) -> int:
        """Tell our own frame, whose acknowledgement was lost, from another owner's."""
        last = await self.last_frame()
        if last.headers.get(MSG_ID) != message_id:
            raise Fenced(self.subject, self.last_seq, last.seq)
        self.last_seq = last.seq
        return last.seq

    def _check_size(self, payload: bytes, headers: Mapping[str, str]) -> None:
        """Refuse what the server would answer by closing the connection, again and again."""
        size = len(payload) + sum(len(key) + len(text) + 4 for key, text in headers.items()) + 12
        if size > self._connection.max_payload:
            message = (
                f"{self.subject}: a frame of {size} bytes does not fit into a message of "
                f"{self._connection.max_payload}: raise `max_payload` of the NATS server"
            )
            raise BusError(message)

    def _check(self) -> None:
        if not self._lease.held:
            raise LeaseLost(self._lease.key)
