"""
FencedPublisher: write frames to one subject of a stream, exactly once and as its only owner.

One frame is unacknowledged at a time, and names the sequence that the subject's last frame must
have. The server checks that fence before it looks for a duplicate message id. So a frame that is
sent again because its acknowledgement was lost is refused, just like the frame of an owner that has
been replaced: the message id of the subject's last frame tells the two apart.
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

WRONG_LAST_SEQUENCE = 10071  # JetStream's error code


class LastFrame(NamedTuple):
    """The newest frame of a subject; sequence 0 means there is none."""

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
    Publisher of one subject of a stream under a lease.

    Call `take_over` first, then `publish` any number of times, never concurrently. `last_seq` is
    the sequence of the last frame that this owner wrote or found.
    """

    def __init__(self, bus: Bus, stream: str, subject: str, lease: Lease) -> None:
        self._bus = bus
        self._connection = bus.connection
        self._stream = stream
        self.subject = subject
        self._lease = lease
        self._count = 0
        self.last_seq = 0

    async def take_over(self, payload: bytes, *, keep: tuple[str, ...] = ()) -> LastFrame:
        """
        Write an empty frame that fences every former owner off, and return the frame before it.

        `payload` is that empty frame, the take-over marker. `keep` names headers that it copies
        from the frame before. Errors are those of `publish`.
        """
        while True:
            last = await self.last_frame()
            self.last_seq = last.seq
            copied = {name: last.headers[name] for name in keep if name in last.headers}
            try:
                # The marker raises the subject's last sequence. The former owner may not have
                # noticed yet that its lease has expired, but its next frame expects the sequence
                # before the marker and is refused.
                await self.publish(payload, copied | {MARKER: "1"})
            except Fenced:
                # The former owner wrote one more frame between our read and our marker. Its lease
                # has expired, so it does that a bounded number of times.
                continue
            return last

    async def last_frame(self) -> LastFrame:
        """Read the newest frame of the subject; retry while the lease is held, then LeaseLost."""
        return await retry(self._read_last_frame, TRANSIENT_ERRORS)

    async def publish(self, payload: bytes, headers: Mapping[str, str]) -> int:
        """
        Write one frame and return its sequence.

        A lost connection or acknowledgement is retried while the lease is held. Fenced when another
        owner has written, LeaseLost when the lease expired first, BusError when the server refuses
        the frame permanently. After a cancellation it is unknown whether the frame was written:
        take over again.
        """
        self._count += 1
        # Unique among all owners of the subject: no two leases have the same revision.
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

    async def _read_last_frame(self) -> LastFrame:
        self._check_lease()
        try:
            message = await self._bus.jetstream.get_last_msg(self._stream, self.subject)
        except NotFoundError:
            return LastFrame(0, {}, b"")
        return LastFrame(message.seq or 0, message.headers or {}, message.data or b"")

    async def _request(self, payload: bytes, headers: dict[str, str]) -> _Ack:
        """Send a frame once and return the server's answer."""
        self._check_lease()
        timeout_s = self._bus.config.request_timeout_s
        reply = await self._connection.request(
            self.subject, payload, timeout=timeout_s, headers=headers
        )
        ack = _decode_ack(reply.data)
        if ack.error is not None and not ack.error.err_code:
            # An answer without a code of JetStream, such as 503 without a leader, is transient.
            raise BusUnavailable(ack.error.description)
        return ack

    async def _resolve_lost_ack(self, message_id: str) -> int:
        """Return the sequence of our frame if it is the subject's last one, else raise Fenced."""
        # An earlier attempt may have been stored and only its acknowledgement lost: then the fence
        # refused the second attempt because of our own frame.
        last = await self.last_frame()
        if last.headers.get(MSG_ID) != message_id:
            raise Fenced(self.subject, self.last_seq, last.seq)
        self.last_seq = last.seq
        return last.seq

    def _check_size(self, payload: bytes, headers: Mapping[str, str]) -> None:
        """Raise BusError for a frame that the server does not accept."""
        # The server answers a larger message by closing the connection, so a retry would never end.
        size = len(payload) + sum(len(key) + len(text) + 4 for key, text in headers.items()) + 12
        if size > self._connection.max_payload:
            message = (
                f"{self.subject}: a frame of {size} bytes does not fit into a message of "
                f"{self._connection.max_payload}: raise `max_payload` of the NATS server"
            )
            raise BusError(message)

    def _check_lease(self) -> None:
        if not self._lease.held:
            raise LeaseLost(self._lease.key)
