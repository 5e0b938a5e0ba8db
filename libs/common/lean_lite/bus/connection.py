"""Bus: one connection to NATS; which of its errors are transient."""

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
# Messages that are sent during a reconnect wait in a buffer of this size.
PENDING_BYTES = 16 * 1024**2
PENDING_MESSAGES = 65_536

log = logging.getLogger(__name__)
encode = msgspec.msgpack.Encoder().encode

# Raised by a call to a server that is down, restarting, or without a stream leader yet: the same
# call may succeed later.
TRANSIENT_ERRORS = (NatsError, NatsTimeoutError, NoRespondersError, OSError, TimeoutError)


class Bus:
    """
    One connection to NATS; use `connect` to open it.

    A lost connection is reopened without a limit; messages sent meanwhile wait in a bounded buffer.
    `errors` counts the asynchronous errors of the server and of nats-py: a denied subject, a slow
    consumer, a lost connection.
    """

    def __init__(self, connection: Client, config: BusConfig) -> None:
        self.connection = connection
        self.config = config
        self.jetstream = connection.jetstream(timeout=config.request_timeout_s)
        self.errors = 0

    @property
    def connected(self) -> bool:
        """Whether the connection is open now."""
        return self.connection.is_connected

    def failing(self) -> Iterable[str]:
        """Yield the reason why the bus does not work, if it does not."""
        if not self.connected:
            yield (
                f"NATS does not answer at {self.config.url}: start it or check why it is down; "
                "the connection is restored automatically"
            )

    async def publish(self, subject: str, payload: bytes) -> None:
        """Publish bytes without an acknowledgement."""
        await self.connection.publish(subject, payload)

    async def publish_message(self, subject: str, message: msgspec.Struct) -> None:
        """Publish a message of `lean_lite.protocol` without an acknowledgement."""
        await self.connection.publish(subject, encode(message))

    async def subscribe(
        self,
        subject: str,
        on_message: Callable[[Msg], Awaitable[None]],
        *,
        pending: int = PENDING_MESSAGES,
    ) -> Subscription:
        """Call `on_message` for each message, in order; drop new ones while `pending` wait."""
        return await self.connection.subscribe(subject, cb=on_message, pending_msgs_limit=pending)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; a lost connection has ended it already."""
        try:
            await subscription.unsubscribe()
        except TRANSIENT_ERRORS as error:
            extra = {"subject": subscription.subject, "error": str(error)}
            log.info("bus.unsubscribe_failed", extra=extra)

    async def flush(self) -> None:
        """Wait until the server has received all messages sent before."""
        # nats-py writes a PING ahead of messages that are still pending. So the first PONG proves
        # nothing about them; a second PING is sent after them.
        for _ in range(2):
            flush = self.connection.flush(timeout=int(self.config.request_timeout_s) + 1)
            # A PONG for a cancelled waiter ends nats-py's read loop, and with it the connection.
            await asyncio.shield(flush)

    async def close(self) -> None:
        """Send the pending messages and close the connection, within the request timeout."""
        if self.connection.is_closed:
            return
        try:
            async with asyncio.timeout(self.config.request_timeout_s):
                await self.connection.drain()
        except TRANSIENT_ERRORS as error:
            log.warning("bus.drain_failed", extra={"error": str(error)})
            await _close_undrained(self.connection)


async def connect(config: BusConfig, role: str, *, name: str) -> Bus:
    """
    Connect to the bus as a role.

    BusUnavailable when the server does not answer within `connect_timeout_s` or refuses the user;
    ServerTooOld when it is older than `MIN_SERVER_VERSION`; ConfigError without an address.
    """
    if not config.url:
        key = "bus.url"
        raise ConfigError(
            key,
            "the address of NATS is missing: set bus.url (LEAN_LITE_BUS__URL), for example to "
            "nats://host:4222",
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
        "error_cb": _error_handler(bus),
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


async def _close_undrained(connection: Client) -> None:
    if not connection.is_connected:
        # nats-py would write the pending messages to the closed socket, and fail there.
        connection._pending, connection._pending_data_size = [], 0  # noqa: SLF001
    try:
        await connection.close()
    except asyncio.CancelledError:
        # While it reconnects, nats-py cancels the future that its close() then awaits: this task
        # itself is not cancelled.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise


def _error_handler(bus: Bus) -> Callable[[Exception], Awaitable[None]]:
    async def on_error(error: Exception) -> None:
        bus.errors += 1
        log.debug("bus.error", extra={"error": repr(error)})

    return on_error
