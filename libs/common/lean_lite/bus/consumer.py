"""Consumer: read the frames of a stream in order, from a sequence on, each exactly once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from typing import NamedTuple

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from lean_lite.bus.connection import TRANSIENT_ERRORS, Bus
from lean_lite.bus.retry import retry
from lean_lite.model.timestamps import to_ns

# The server sends one while there is no frame. nats-py recreates a consumer that was silent for two
# of them, so a consumer that the server has lost costs about two seconds.
HEARTBEAT_S = 1.0

log = logging.getLogger(__name__)


class Frame(NamedTuple):
    """One message of a stream; `stored_ns` is the server's time of it."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes
    stored_ns: int


class Consumer:
    """
    Ordered consumer of the subjects of a stream that match a filter.

    `on_frame` is called with every frame above `after_seq`, in order, one at a time. While it runs,
    the server's flow control holds the next frames back. When it fails, `run` raises its error.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        subject: str,
        on_frame: Callable[[Frame], Awaitable[None]],
        *,
        after_seq: int = 0,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._on_frame = on_frame
        self._seq = after_seq
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def seq(self) -> int:
        """Sequence of the last frame that `on_frame` has handled."""
        return self._seq

    async def run(self) -> None:
        """Read until cancelled, or until `on_frame` fails."""
        subscription = await retry(
            self._subscribe, TRANSIENT_ERRORS, on_retry=self._on_subscribe_failed
        )
        try:
            await self._failed
        finally:
            await self._bus.unsubscribe(subscription)

    async def _subscribe(self) -> JetStreamContext.PushSubscription:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self._seq + 1
        )
        return await self._bus.jetstream.subscribe(
            self._subject,
            stream=self._stream,
            config=config,
            cb=self._on_message,
            ordered_consumer=True,
            idle_heartbeat=HEARTBEAT_S,
        )

    def _on_subscribe_failed(self, error: Exception) -> None:
        extra = {"stream": self._stream, "error": str(error)}
        log.info("consumer.subscribe_failed", extra=extra)

    async def _on_message(self, message: Msg) -> None:
        if self._failed.done():
            return
        metadata = message.metadata
        # When nats-py recreates a consumer that never had a message, it starts at the first frame
        # of the stream instead of `opt_start_seq`: those frames are already handled.
        if metadata.sequence.stream <= self._seq:
            return
        frame = Frame(
            metadata.sequence.stream,
            message.subject,
            message.headers or {},
            message.data,
            to_ns(metadata.timestamp.astimezone(UTC)),
        )
        try:
            await self._on_frame(frame)
        except Exception as error:  # noqa: BLE001 - nats-py would log it and read on
            if not self._failed.done():
                self._failed.set_exception(error)
            return
        self._seq = frame.seq
