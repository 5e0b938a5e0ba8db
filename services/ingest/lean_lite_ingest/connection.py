"""FeedConnection: the stream of a feed, and the vendor's replies to its subscriptions."""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from typing import Protocol

from lean_lite.bus import Bus
from lean_lite.protocol import subjects
from lean_lite.protocol.events import FeedEvent, FeedState
from lean_lite_ingest import metrics
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import MarketDataSource

# A vendor confirms within milliseconds; a client waits for this reply, so it gets one in any case.
REPLY_TIMEOUT_S = 2.0
# Keys and plans are changed by hand, and each attempt counts against the account.
REFUSED_WAIT_S = 60.0

log = logging.getLogger(__name__)


class ConnectionListener(Protocol):
    """Callbacks for the events of a connection; synchronous, never wait."""

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        """Receive the bars of one message, and when it arrived by this machine's clock."""

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        """Receive all symbols that are live from now on."""

    def on_connected(self) -> None:
        """Receive the first subscription of a new connection."""

    def on_disconnected(self) -> None:
        """Receive the end of a connection."""


class FeedConnection:
    """
    Connection of one feed; its stream calls the hooks.

    `connected` is true once the vendor has confirmed a subscription. `disconnects` counts the
    connections that have ended.
    """

    def __init__(self, bus: Bus, source: MarketDataSource, listener: ConnectionListener) -> None:
        self._bus = bus
        self._feed = source.feed
        self._listener = listener
        self._stream = source.open_stream(self)
        self._has_symbols = asyncio.Event()
        self._reply_received = asyncio.Event()
        self._subscribed: frozenset[str] = frozenset()
        self._error = ""
        self.connected = False
        self.disconnects = 0

    @property
    def refusal(self) -> str:
        """Why the vendor refuses the account; empty when it does not."""
        return self._stream.refusal

    @property
    def connect_error(self) -> str:
        """Why the last attempt to connect failed; empty during the first one."""
        return self._stream.connect_error

    async def run(self) -> None:
        """Stay connected until cancelled, from the first symbol on."""
        while True:
            await self._has_symbols.wait()
            await self._stream.run_connected()
            if self.refusal:
                # The refusal is also the reply to a subscription in progress.
                self._reply_received.set()
                log.error("feed.refused", extra={"feed": self._feed, "error": self.refusal})
                await self.publish_state("refused", self.refusal)
                await asyncio.sleep(REFUSED_WAIT_S)

    def add_symbols(self, symbols: Collection[str]) -> None:
        """Add symbols to those that every connection subscribes; the first ones connect."""
        self._stream.add_symbols(symbols)
        if symbols:
            self._has_symbols.set()

    async def subscribe(self, symbols: Sequence[str]) -> str:
        """Subscribe new symbols; return why the vendor refuses them, or an empty text."""
        self._error = ""
        self.add_symbols(symbols)
        await self._stream.subscribe_all()
        refusal = await self._wait_for_reply(symbols)
        if refusal:
            await self._stream.remove_symbols(symbols)
        return refusal

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        """Remove symbols, and unsubscribe them if connected."""
        await self._stream.remove_symbols(symbols)

    async def publish_state(self, state: FeedState, detail: str) -> None:
        """Publish an event of the feed."""
        event = FeedEvent(self._feed, state, time.time_ns(), detail)
        await self._bus.publish_message(subjects.event("feed"), event)

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        """Deliver the bars of one message."""
        self._listener.on_rows(rows, wall_ns)
        metrics.RECEIVED.labels(self._feed).inc(len(rows))
        metrics.RECEIVED_AT.labels(self._feed).set(wall_ns / 1e9)

    def on_unreadable(self, error: Exception) -> None:
        """Count and log a bar that could not be decoded."""
        metrics.UNREADABLE.labels(self._feed).inc()
        log.warning("message.decode_failed", extra={"feed": self._feed, "error": repr(error)})

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        """Store the confirmed symbols; the first confirmation makes the feed connected."""
        self._subscribed = symbols
        self._listener.on_subscribed(symbols)
        if not self.connected:
            self.connected = True
            metrics.CONNECTS.labels(self._feed).inc()
            metrics.CONNECTED.labels(self._feed).set(1)
            self._listener.on_connected()
        self._reply_received.set()

    def on_error(self, reason: str) -> None:
        """Store an error message: it is the reply to the last subscription."""
        self._error = reason
        log.error("feed.error_received", extra={"feed": self._feed, "error": reason})
        self._reply_received.set()

    def on_disconnected(self) -> None:
        """Count the end of a connection."""
        self.connected = False
        self.disconnects += 1
        metrics.CONNECTED.labels(self._feed).set(0)
        self._listener.on_disconnected()

    async def _wait_for_reply(self, symbols: Sequence[str]) -> str:
        """Return the vendor's refusal, or an empty text; no reply in time counts as accepted."""
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                while not (self._refused() or self._subscribed.issuperset(symbols)):
                    self._reply_received.clear()
                    await self._reply_received.wait()
        except TimeoutError:
            log.warning("subscription.unconfirmed", extra={"feed": self._feed, "symbols": symbols})
        return self._refused()

    def _refused(self) -> str:
        return self._error or self.refusal
