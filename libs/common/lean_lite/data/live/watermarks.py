"""The heads of lanes, heard once however many streams follow them."""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from lean_lite.bus import Bus
from lean_lite.protocol import subjects
from lean_lite.protocol.live import Watermark
from lean_lite.protocol.partitions import Lane

PENDING_MESSAGES = 262_144

OnWatermark = Callable[[Watermark], None]

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Watermark).decode


class WatermarkHub:
    """Hear the heads of every lane that somebody follows, and tell all who do."""

    def __init__(self, bus: Bus) -> None:
        """Hear nothing before `follow`."""
        self._bus = bus
        self._subscribers: dict[Lane, list[OnWatermark]] = {}
        self._subscriptions: dict[Lane, Subscription] = {}
        self._turn = asyncio.Lock()

    async def subscribe(self, lane: Lane, on_head: OnWatermark) -> None:
        """Call a function with every head of a lane from now on."""
        async with self._turn:
            if lane not in self._subscriptions:
                self._subscriptions[lane] = await self._open_subscription(lane)
            self._subscribers.setdefault(lane, []).append(on_head)

    async def unsubscribe(self, lane: Lane, on_head: OnWatermark) -> None:
        """Call it no more; does nothing when it does not follow."""
        async with self._turn:
            followers = self._subscribers.get(lane, [])
            if on_head not in followers:
                return
            followers.remove(on_head)
            if not followers:
                del self._subscribers[lane]
                await self._bus.unsubscribe(self._subscriptions.pop(lane))

    async def _open_subscription(self, lane: Lane) -> Subscription:
        async def on_message(message: Msg) -> None:
            try:
                head = _decode(message.data)
            except msgspec.MsgspecError as error:
                # What it named is missed at the next head.
                extra = {"subject": message.subject, "error": str(error)}
                log.warning("heads.unreadable", extra=extra)
                return
            for tell in tuple(self._subscribers.get(lane, ())):
                tell(head)

        subject = subjects.watermark(lane)
        return await self._bus.subscribe(subject, on_message, pending=PENDING_MESSAGES)
