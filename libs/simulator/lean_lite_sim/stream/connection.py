"""One websocket connection, from greeting to close."""

import asyncio
import logging
import socket
import struct
import time
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
from lean_lite_sim.stream.connection_limit import ConnectionLimit
from lean_lite_sim.stream.delivery import Delivery
from lean_lite_sim.stream.send_queue import SendQueue
from lean_lite_sim.stream.subscription import Subscription

log = logging.getLogger(__name__)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_POLICY_VIOLATION: Final = 1008
_BROKE_OFF: Final = 1006
_LAST_WORDS_S: Final = 1.0


class ConnectionContext:
    """What all sessions of a simulator share."""

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
        self.slots = ConnectionLimit(settings.connection_limit)
        self.auth_failures_left = faults.latest.auth_fail


class ClientConnection:
    """A client on an endpoint: greets, checks keys, keeps subscriptions, queues what is due."""

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
        self._outbox = SendQueue(connection)
        self._place: tuple[str, str] | None = None
        self._authenticated = False
        self._mute_until = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the connection until it ends."""
        if self._context.faults.latest.no_greeting:
            await self._connection.wait_closed()
            return
        writer = asyncio.create_task(self._outbox.run())
        try:
            self._outbox.put(encode_success("connected", self.codec))
            await self._listen()
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._release_slot(broke_off=self._connection.close_code == _BROKE_OFF)

    def deliver(self, delivery: Delivery) -> None:
        """Queue what this client wants of a delivery; a client too far behind is closed."""
        if self._closing is not None or time.monotonic() < self._mute_until:
            return
        messages, frames = delivery.parcel(self.codec, self.subscription.selection)
        for frame in frames:
            self._outbox.put(frame)
        self._context.stats.on_messages(messages)
        self._context.stats.frames_sent += len(frames)
        limit = self._context.faults.latest.slow_client_frames
        if len(self._outbox) > (limit or self._context.settings.queue_frames):
            self._closing = asyncio.create_task(self._disconnect_slow())

    def apply_fault(self, blow: ConnectionFault) -> None:
        """Do to this connection what a fault says."""
        if blow.mute_s is not None:
            self._mute_until = time.monotonic() + blow.mute_s
        if blow.half_open_s is not None:
            self._freeze(blow.half_open_s)
        if blow.abort:
            self._abort()
        if blow.close_code is not None:
            self._closing = asyncio.create_task(self._connection.close(blow.close_code))

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
            await self._close_after_last_words(_POLICY_VIOLATION)

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
        self._outbox.put(encode_success("authenticated", self.codec))

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
        place = (self.endpoint.path, key)
        if not context.slots.acquire(place):
            return 406
        self._place = place
        return None

    def _on_subscribe(self, request: Mapping[str, object]) -> None:
        if not self._authenticated:
            raise Refusal(401)
        if code := self._context.faults.latest.post_auth_error:
            raise Refusal(code)
        self.subscription.apply(request)
        self._outbox.put(encode_control(self.subscription.state(), self.codec))
        if not self.subscription.is_empty:
            self._context.clock.release()

    def _put_error(self, code: int) -> None:
        self._outbox.put(encode_error(code, self.codec))

    async def _disconnect_slow(self) -> None:
        log.warning("a client on %s is too slow", self.endpoint.path)
        self._context.stats.slow_clients += 1
        self._outbox.clear()
        self._put_error(407)
        await self._close_after_last_words(_POLICY_VIOLATION)
        self._abort()

    async def _close_after_last_words(self, code: int) -> None:
        # A client that reads nothing can't be told either; it must not hold the connection open.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._outbox.drain()
        await self._connection.close(code)

    def _freeze(self, duration_s: float) -> None:
        self._outbox.pause()
        self._mute_until = time.monotonic() + duration_s
        self._connection.transport.pause_reading()
        # To the server a dead peer is gone: its place must not depend on when it thaws.
        self._release_slot(broke_off=True)
        asyncio.get_running_loop().call_later(duration_s, self._thaw)

    def _thaw(self) -> None:
        self._outbox.resume()
        if not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    def _abort(self) -> None:
        transport = self._connection.transport
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None and not transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()

    def _release_slot(self, *, broke_off: bool) -> None:
        if self._place is not None:
            linger_s = self._context.faults.latest.linger_s if broke_off else 0.0
            self._context.slots.release(self._place, linger_s)
            self._place = None


def _codec_of(connection: ServerConnection) -> Codec:
    request = connection.request
    wanted = request.headers.get("Content-Type", "") if request is not None else ""
    return "msgpack" if wanted.startswith("application/msgpack") else "json"


def _keys_in_headers(connection: ServerConnection) -> tuple[str, str] | None:
    if connection.request is None:
        return None
    return keys_in_headers(connection.request.headers)
