"""WatermarkHub: one subscription per lane, shared by all streams."""

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

# Messages that may wait while the event loop is busy. What NATS drops beyond that is detected at
# the next watermark and fetched from the store.
PENDING_MESSAGES = 262_144

OnWatermark = Callable[[Watermark], None]

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Watermark).decode


class WatermarkHub:
    """Watermarks of lanes, received once for all subscribers of a connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subscribers: dict[Lane, list[OnWatermark]] = {}
        self._subscriptions: dict[Lane, Subscription] = {}
        self._lock = asyncio.Lock()

    async def subscribe(self, lane: Lane, on_watermark: OnWatermark) -> None:
        """Call a function for every watermark of a lane from now on."""
        async with self._lock:
            if lane not in self._subscriptions:
                self._subscriptions[lane] = await self._open_subscription(lane)
            self._subscribers.setdefault(lane, []).append(on_watermark)

    async def unsubscribe(self, lane: Lane, on_watermark: OnWatermark) -> None:
        """Stop calling a function; does nothing if it is not subscribed."""
        async with self._lock:
            subscribers = self._subscribers.get(lane, [])
            if on_watermark not in subscribers:
                return
            subscribers.remove(on_watermark)
            if not subscribers:
                del self._subscribers[lane]
                await self._bus.unsubscribe(self._subscriptions.pop(lane))

    async def _open_subscription(self, lane: Lane) -> Subscription:
        async def on_message(message: Msg) -> None:
            try:
                watermark = _decode(message.data)
            except msgspec.MsgspecError as error:
                # The next watermark shows that its frame is missing.
                log.warning("unreadable watermark on %s: %s", message.subject, error)
                return
            for on_watermark in tuple(self._subscribers.get(lane, ())):
                on_watermark(watermark)

        subject = subjects.watermark(lane)
        return await self._bus.subscribe(subject, on_message, pending=PENDING_MESSAGES)
