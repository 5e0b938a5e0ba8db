"""One subscribed symbol, from the bus to the engine."""

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

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(LiveBar).decode


class SymbolSubscription:
    """
    Hand a symbol's records on.

    Graded ones come each once and in order. INVALID ones come as they are reported: they are in no
    history, and one that is lost on the wire is not fetched again.
    """

    def __init__(
        self,
        bus: Bus,
        symbol: str,
        live: Live,
        feed: str,
        deliver: Callable[["SymbolSubscription", LiveBar], Awaitable[None]],
    ) -> None:
        """
        Use a started stream of the symbol; `feed` is the user's feed that serves it, or none.

        `deliver` takes what is INVALID; the rest is taken from the queue given to `follow`.
        """
        self._bus = bus
        self.symbol = symbol
        self._live = live
        self.feed = feed
        self._deliver = deliver
        self._invalid: Subscription | None = None
        self.stopped = False

    @property
    def queued_seq(self) -> dict[str, int]:
        """Return the last GRADED sequence, by lane, that has been queued for the callbacks."""
        return self._live.done

    async def start(self) -> None:
        """Hear what is INVALID; graded bars wait for `follow`."""
        subject = subjects.live_invalid(self.symbol)
        self._invalid = await self._bus.subscribe(subject, self._on_invalid)

    def accepts_feed(self, feed: str) -> bool:
        """Say whether a feed's bars of the symbol are those that come."""
        return self._live.source(self.symbol) in ("", feed)

    def attach_queue(self, queue: BarQueue) -> None:
        """Put graded bars into a queue, those first that have come already."""
        self._live.redirect(queue)

    async def stop(self) -> None:
        """Follow no more; what has not been delivered is dropped."""
        self.stopped = True
        try:
            await self._live.stop()
        finally:
            if self._invalid is not None:
                await self._bus.unsubscribe(self._invalid)

    async def _on_invalid(self, message: Msg) -> None:
        try:
            record = _decode(message.data)
        except msgspec.MsgspecError as error:
            log.warning("live.unreadable", extra={"subject": message.subject, "error": str(error)})
            return
        if not self.stopped and self.accepts_feed(record.feed):
            await self._deliver(self, record)
