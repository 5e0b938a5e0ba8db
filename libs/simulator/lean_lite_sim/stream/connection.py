"""ClientConnection: one websocket connection, from greeting to close; and how many a key has."""

import asyncio
import logging
import socket
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from lean_lite_sim.faults import ConnectionFault, FaultHistory
from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.protocol.endpoints import Endpoint
from lean_lite_sim.protocol.wire import (
    Codec,
    Refusal,
    decode_request,
    encode_control,
    encode_error,
    encode_success,
)
from lean_lite_sim.rest.auth import keys_in_headers
from lean_lite_sim.settings import SimulatorSettings
from lean_lite_sim.stats import Stats
from lean_lite_sim.stream.delivery import Delivery, SendQueue
from lean_lite_sim.stream.subscription import Subscription

log = logging.getLogger(__name__)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_POLICY_VIOLATION: Final = 1008
_ABNORMAL_CLOSURE: Final = 1006
_FLUSH_TIMEOUT_S: Final = 1.0


class ConnectionLimit:
    """Count of connections by slot (endpoint and key); a broken one may still count for a while."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[tuple[str, str]] = Counter()
        self._lingering_until: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def acquire(self, slot: tuple[str, str]) -> bool:
        """Count a connection, unless there are too many."""
        now = time.monotonic()
        lingering = [until for until in self._lingering_until[slot] if until > now]
        self._lingering_until[slot] = lingering
        if self._open[slot] + len(lingering) >= self._limit:
            return False
        self._open[slot] += 1
        return True

    def release(self, slot: tuple[str, str], linger_s: float) -> None:
        """Stop counting a connection, immediately or after some seconds."""
        self._open[slot] -= 1
        if linger_s > 0:
            self._lingering_until[slot].append(time.monotonic() + linger_s)


class ConnectionContext:
    """What all connections of a simulator share."""

    def __init__(
        self,
        settings: SimulatorSettings,
        clock: FeedClock,
        faults: FaultHistory,
        stats: Stats,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.faults = faults
        self.stats = stats
        self.limit = ConnectionLimit(settings.connection_limit)
        self.auth_failures_left = faults.latest.auth_fail


class ClientConnection:
    """A client on an endpoint: greeting, keys, subscriptions, and frames that are due."""

    def __init__(
        self,
        connection: ServerConnection,
        endpoint: Endpoint,
        context: ConnectionContext,
    ) -> None:
        settings = context.settings
        self.endpoint = endpoint
        self.subscription = Subscription(
            endpoint,
            settings.symbol_limit,
            settings.symbol_limit_channels,
        )
        self.codec: Codec = _codec_of(connection)
        self._connection = connection
        self._context = context
        self._queue = SendQueue(connection)
        self._slot: tuple[str, str] | None = None
        self._authenticated = False
        self._mute_until = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the connection until it ends."""
        if self._context.faults.latest.no_greeting:
            await self._connection.wait_closed()
            return
        writer = asyncio.create_task(self._queue.run())
        try:
            self._queue.put(encode_success("connected", self.codec))
            await self._listen()
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._release_slot(abnormal=self._connection.close_code == _ABNORMAL_CLOSURE)

    def deliver(self, delivery: Delivery) -> None:
        """Queue what this client has subscribed; close it when it is too far behind."""
        if self._closing is not None or time.monotonic() < self._mute_until:
            return
        messages, frames = delivery.frames_for(self.codec, self.subscription.selection)
        for frame in frames:
            self._queue.put(frame)
        self._context.stats.on_messages(messages)
        self._context.stats.frames_sent += len(frames)
        limit = self._context.faults.latest.slow_client_frames
        if len(self._queue) > (limit or self._context.settings.queue_frames):
            self._closing = asyncio.create_task(self._disconnect_slow())

    def apply_fault(self, fault: ConnectionFault) -> None:
        """Apply a fault to this connection."""
        if fault.mute_s is not None:
            self._mute_until = time.monotonic() + fault.mute_s
        if fault.half_open_s is not None:
            self._hang(fault.half_open_s)
        if fault.abort:
            self._abort()
        if fault.close_code is not None:
            self._closing = asyncio.create_task(self._connection.close(fault.close_code))

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(self._context.settings.auth_timeout_s) as deadline:
                if (keys := _keys_in_headers(self._connection)) is not None:
                    deadline.reschedule(None)
                    await self._on_auth(*keys)
                async for frame in self._connection:
                    await self._on_frame(frame, deadline)
        except TimeoutError:
            self._put_error(404)
            await self._flush_and_close(_POLICY_VIOLATION)

    async def _on_frame(self, frame: bytes | str, deadline: asyncio.Timeout) -> None:
        try:
            request = decode_request(frame)
            if request.get("action") == "auth":
                deadline.reschedule(None)
                await self._on_auth(request.get("key"), request.get("secret"))
            elif request.get("action") in ("subscribe", "unsubscribe"):
                self._on_subscribe(request)
            else:
                self._put_error(400)
        except ValueError:
            self._put_error(400)
        except Refusal as refusal:
            self._put_error(refusal.code)

    async def _on_auth(self, key: object, secret: object) -> None:
        faults = self._context.faults.latest
        await asyncio.sleep(faults.auth_delay_s)
        code = self._refuse_auth(key, secret)
        if code is not None:
            self._put_error(code)
            return
        self._authenticated = True
        self._queue.put(encode_success("authenticated", self.codec))

    def _refuse_auth(self, key: object, secret: object) -> int | None:
        context = self._context
        if self._authenticated:
            return 403
        if context.auth_failures_left > 0:
            context.auth_failures_left -= 1
            return 402
        if not isinstance(key, str) or context.settings.keys.get(key) != secret:
            return 402
        if self.endpoint.feed not in context.settings.feeds:
            return 409
        slot = (self.endpoint.path, key)
        if not context.limit.acquire(slot):
            return 406
        self._slot = slot
        return None

    def _on_subscribe(self, request: Mapping[str, object]) -> None:
        if not self._authenticated:
            raise Refusal(401)
        if code := self._context.faults.latest.post_auth_error:
            raise Refusal(code)
        self.subscription.apply(request)
        self._queue.put(encode_control(self.subscription.state(), self.codec))
        if not self.subscription.is_empty:
            self._context.clock.release()

    def _put_error(self, code: int) -> None:
        self._queue.put(encode_error(code, self.codec))

    async def _disconnect_slow(self) -> None:
        log.warning("a client on %s is too slow", self.endpoint.path)
        self._context.stats.slow_clients += 1
        self._queue.clear()
        self._put_error(407)
        await self._flush_and_close(_POLICY_VIOLATION)
        self._abort()

    async def _flush_and_close(self, code: int) -> None:
        # A client that reads nothing does not get the error, and must not keep the connection open.
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await self._queue.drain()
        await self._connection.close(code)

    def _hang(self, duration_s: float) -> None:
        self._queue.pause()
        self._mute_until = time.monotonic() + duration_s
        self._connection.transport.pause_reading()
        # A server treats a dead peer as gone, so the slot is released now, not at the recovery.
        self._release_slot(abnormal=True)
        asyncio.get_running_loop().call_later(duration_s, self._recover)

    def _recover(self) -> None:
        self._queue.resume()
        if not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    def _abort(self) -> None:
        transport = self._connection.transport
        raw_socket: socket.socket | None = transport.get_extra_info("socket")
        if raw_socket is not None and not transport.is_closing():
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()

    def _release_slot(self, *, abnormal: bool) -> None:
        if self._slot is not None:
            linger_s = self._context.faults.latest.linger_s if abnormal else 0.0
            self._context.limit.release(self._slot, linger_s)
            self._slot = None


def _codec_of(connection: ServerConnection) -> Codec:
    request = connection.request
    content_type = request.headers.get("Content-Type", "") if request is not None else ""
    return "msgpack" if content_type.startswith("application/msgpack") else "json"


def _keys_in_headers(connection: ServerConnection) -> tuple[str, str] | None:
    if connection.request is None:
        return None
    return keys_in_headers(connection.request.headers)
