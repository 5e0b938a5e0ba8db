"""SymbolSubscription: one subscribed symbol, its live stream and its INVALID bars."""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from lean_lite.bus import Bus
from lean_lite.data.live import Live
from lean_lite.data.live.queue import BarQueue
from lean_lite.protocol import subjects
from lean_lite.protocol.live import LiveBar

OnInvalid = Callable[["SymbolSubscription", LiveBar], Awaitable[None]]

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(LiveBar).decode


class SymbolSubscription:
    """
    Live records of one symbol for the callbacks.

    Graded records come once each and in order, through the queue given to `attach_queue`. INVALID
    ones are passed to `on_invalid` as they arrive: they are in no history, so one that the bus
    loses is not fetched again.

    Args:
        bus: an open connection.
        symbol: the symbol.
        live: a started stream of the symbol; the subscription stops it.
        feed: name of the user's feed that serves the symbol; empty if ingest does.
        on_invalid: called with this subscription and an INVALID record.

    Attributes:
        symbol: the symbol.
        feed: name of the user's feed, or empty.
        stopped: whether the subscription was stopped.
    """

    def __init__(self, bus: Bus, symbol: str, live: Live, feed: str, on_invalid: OnInvalid) -> None:
        self._bus = bus
        self.symbol = symbol
        self._live = live
        self.feed = feed
        self._on_invalid = on_invalid
        self._subscription: Subscription | None = None
        self.stopped = False

    @property
    def queued_seq(self) -> dict[str, int]:
        """Last GRADED sequence, by lane, that has been queued for the callbacks."""
        return self._live.done

    async def start(self) -> None:
        """Subscribe to INVALID records; graded ones wait for `attach_queue`."""
        subject = subjects.live_invalid(self.symbol)
        self._subscription = await self._bus.subscribe(subject, self._on_message)

    def accepts_feed(self, feed: str) -> bool:
        """Whether the bars of a feed are those that are delivered."""
        return self._live.source(self.symbol) in ("", feed)

    def attach_queue(self, queue: BarQueue) -> None:
        """Deliver graded records into a queue, those that wait first."""
        self._live.redirect(queue)

    async def stop(self) -> None:
        """Unsubscribe; records that wait are dropped."""
        self.stopped = True
        try:
            await self._live.stop()
        finally:
            if self._subscription is not None:
                await self._bus.unsubscribe(self._subscription)

    async def _on_message(self, message: Msg) -> None:
        try:
            record = _decode(message.data)
        except msgspec.MsgspecError as error:
            log.warning("unreadable live record on %s: %s", message.subject, error)
            return
        if not self.stopped and self.accepts_feed(record.feed):
            await self._on_invalid(self, record)
