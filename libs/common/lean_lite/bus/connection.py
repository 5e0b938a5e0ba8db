"""One connection to NATS, with the few verbs that this project uses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from lean_lite.config import BusConfig
from lean_lite.errors import BusUnavailable, ConfigError, ServerTooOld
from lean_lite.protocol.permissions import inbox_prefix

MIN_SERVER_VERSION = (2, 10)
PENDING_BYTES = 16 * 1024**2
MESSAGES_PENDING = 65_536

log = logging.getLogger(__name__)
encode = msgspec.msgpack.Encoder().encode

# What a call to a server raises that is gone, restarting, or still without a leader.
TRANSIENT_ERRORS = (NatsError, NatsTimeoutError, NoRespondersError, OSError, TimeoutError)


class Bus:
    """
    Hold one connection to NATS.

    `errors` counts what the server or the library reported asynchronously: a denied subject, a
    slow reader, a lost connection. Reconnects go on for ever; what is sent meanwhile waits in a
    bounded buffer.
    """

    def __init__(self, connection: Client, config: BusConfig) -> None:
        """Use an open connection; `connect` makes one."""
        self.connection = connection
        self.config = config
        self.jetstream = connection.jetstream(timeout=config.request_timeout_s)
        self.errors = 0

    @property
    def connected(self) -> bool:
        """Say whether the server is there now."""
        return self.connection.is_connected

    def failing(self) -> Iterable[str]:
        """Say that the server is away, while it is."""
        if not self.connected:
            yield (
                f"NATS does not answer at {self.config.url}: start it, or see why it is away; "
                "this goes on by itself when it is back"
            )

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send a message that nobody confirms."""
        await self.connection.publish(subject, payload)

    async def publish_message(self, subject: str, message: msgspec.Struct) -> None:
        """Send a message of `lean_lite.messages` that nobody confirms."""
        await self.connection.publish(subject, encode(message))

    async def subscribe(
        self,
        subject: str,
        on_message: Callable[[Msg], Awaitable[None]],
        *,
        pending: int = MESSAGES_PENDING,
    ) -> Subscription:
        """Call back for every message; `pending` bounds what may wait, newer ones are dropped."""
        return await self.connection.subscribe(subject, cb=on_message, pending_msgs_limit=pending)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Call back no more; a connection that is gone has done so already."""
        try:
            await subscription.unsubscribe()
        except TRANSIENT_ERRORS as error:
            extra = {"subject": subscription.subject, "error": str(error)}
            log.info("bus.not_unsubscribed", extra=extra)

    async def flush(self) -> None:
        """Return when the server has taken all that was sent before."""
        # nats-py writes its PING before messages still pending: only a second one is behind them.
        for _ in range(2):
            flush = self.connection.flush(timeout=int(self.config.request_timeout_s) + 1)
            # nats-py's read loop ends with a PONG for somebody who was cancelled meanwhile.
            await asyncio.shield(flush)

    async def close(self) -> None:
        """Send what is pending and leave, within the request limit."""
        if self.connection.is_closed:
            return
        try:
            async with asyncio.timeout(self.config.request_timeout_s):
                await self.connection.drain()
        except TRANSIENT_ERRORS as error:
            log.warning("bus.drain_failed", extra={"error": str(error)})
            await _abandon(self.connection)


async def connect(config: BusConfig, role: str, *, name: str) -> Bus:
    """
    Connect to the bus as a role.

    BusUnavailable when nobody answers within `connect_timeout_s` or the user is refused;
    ServerTooOld when the server lacks what we need; ConfigError without an address.
    """
    if not config.url:
        key = "bus.url"
        raise ConfigError(
            key,
            "say where NATS is: set bus.url (LEAN_LITE_BUS__URL), for example to nats://host:4222",
        )
    connection = Client()
    bus = Bus(connection, config)
    options: dict[str, Any] = {
        "servers": [config.url],
        "name": name,
        "inbox_prefix": inbox_prefix(role).encode(),
        "connect_timeout": 2,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.25,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "pending_size": PENDING_BYTES,
        "error_cb": _counter(bus),
    }
    if config.user:
        options |= {"user": config.user, "password": str(config.password)}
    try:
        async with asyncio.timeout(config.connect_timeout_s):
            await connection.connect(**options)
    except BaseException as error:
        await connection.close()
        if not isinstance(error, TRANSIENT_ERRORS):
            raise
        message = (
            f"no answer from NATS at {config.url} as user {config.user or '(none)'}: "
            f"{str(error) or 'timed out'}; check that the server runs and that `bus.url`, "
            "`bus.user` and `bus.password` are right"
        )
        raise BusUnavailable(message) from error
    version = connection.connected_server_version
    if (version.major, version.minor) < MIN_SERVER_VERSION:
        await connection.close()
        found = f"{version.major}.{version.minor}.{version.patch}"
        raise ServerTooOld(found, ".".join(map(str, MIN_SERVER_VERSION)))
    return bus


async def _abandon(connection: Client) -> None:
    if not connection.is_connected:
        # nats-py would write what is pending to the socket that is gone, and fail there.
        connection._pending, connection._pending_data_size = [], 0  # noqa: SLF001
    try:
        await connection.close()
    except asyncio.CancelledError:
        # While it reconnects, nats-py cancels the very future that its close() then awaits.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise


def _counter(bus: Bus) -> Callable[[Exception], Awaitable[None]]:
    async def on_error(error: Exception) -> None:
        bus.errors += 1
        log.debug("bus.error", extra={"error": repr(error)})

    return on_error
