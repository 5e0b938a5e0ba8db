"""
FeedRunner: run a user's feed in the user's process.

In: the feed's `publish`. Out: stream RAW, under a lease of the feed's name. Answers: requests on
`md.ctl.feed.<name>`, by subscribing the feed to the symbols that clients request. Scale: one
process at a time owns a feed; others that run it stand by, and their strategies subscribe with the
owner.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Iterable, Iterator

from lean_lite.bus import Bus, ChunkedReply, Lease, LeaseBalancer, Leases, Responder
from lean_lite.bus.retry import backoff
from lean_lite.errors import FeedError, FeedUnavailable
from lean_lite.feeds.interest import ClientInterest
from lean_lite.feeds.interfaces import ConnectionStatus, RunnableFeed
from lean_lite.feeds.publisher import FeedPublisher
from lean_lite.feeds.routing import check_feed_name
from lean_lite.model import TradeBar
from lean_lite.protocol import subjects
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.events import FeedEvent
from lean_lite.protocol.heartbeat import Heartbeat, Sample
from lean_lite.tasks import is_being_cancelled
from lean_lite.version import VERSION

KIND = "feed"
PENDING_BARS = 65_536
HEARTBEAT_S = 1.0
EXPIRY_CHECK_S = 1.0
# Limits of calls into the user's code. A client waits a little longer than CALL_TIMEOUT_S for the
# reply to its subscription.
CALL_TIMEOUT_S = 4.0
CONNECT_TIMEOUT_S = 20.0
# Ceilings of the pause before the first attempt to reconnect, and before any attempt.
RECONNECT_FIRST_S = 0.5
RECONNECT_MAX_S = 30.0
DRAIN_TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


class FeedRunner:
    """
    Runs one feed and publishes its bars while this process has the feed's lease.

    `bus` is a connection with the role `feed`; `pending` bounds the queued bars. FeedError when the
    feed has the name of an account's feed.
    """

    def __init__(self, feed: RunnableFeed, bus: Bus, *, pending: int = PENDING_BARS) -> None:
        check_feed_name(feed.name)
        self._feed = feed
        self._bus = bus
        self._instance = f"{KIND}-{secrets.token_hex(4)}"
        self._publisher = FeedPublisher(bus, feed.name, bound=pending)
        self._interest = ClientInterest()
        self._subscribed: set[str] = set()
        self._interest_lock = asyncio.Lock()
        leases = Leases(bus, KIND, self._instance)
        self._balancer = LeaseBalancer(leases, [subjects.lease(KIND, feed.name)], self._own)
        self._source_lost = asyncio.Event()
        self._losses = 0
        self._why = ""
        self._running: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._stopping = False
        self._started_ns = time.time_ns()

    def failing(self) -> Iterable[str]:
        """Yield the reasons why this process does not publish the feed."""
        if self._running is not None and self._running.done():
            yield f"the feed {self._feed.name} has failed: see its log"
        elif not self._bus.connected:
            yield from self._bus.failing()
        elif not self._balancer.owned:
            yield f"another process runs the feed {self._feed.name}, or its lease is still valid"
        elif self._source_lost.is_set():
            yield f"the feed {self._feed.name} has lost its source and reconnects{self._why}"

    def status(self) -> ConnectionStatus:
        """Return whether this process publishes the feed, or why not."""
        reasons = list(self.failing())
        subscribed = f"{len(self._subscribed)} symbols subscribed"
        return ConnectionStatus(not reasons, "; ".join(reasons) or subscribed)

    async def publish(self, bar: TradeBar) -> None:
        """Queue a bar of the feed; waits and raises like `FeedPublisher.put`."""
        await self._publisher.put(bar)

    def connection_lost(self, why: str) -> None:
        """Reconnect the feed, which has lost its source."""
        log.warning(
            "the feed %s has lost its source: %s", self._feed.name, why or "no reason given"
        )
        self._why = f": {why}" if why else ""
        self._losses += 1
        self._source_lost.set()

    async def start(self) -> None:
        """Connect the feed and publish its bars; FeedUnavailable when it can't connect."""
        self._feed.attach(self)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connected = await self._feed.connect()
        except TimeoutError as error:
            message = f"the feed {self._feed.name} did not connect within {CONNECT_TIMEOUT_S:g} s"
            raise FeedUnavailable(message) from error
        except FeedError:
            raise
        except (asyncio.CancelledError, Exception) as error:
            # A CancelledError while this task is not cancelled is a failure of the user's code.
            if is_being_cancelled():
                raise
            message = f"the feed {self._feed.name} could not connect: {error!r}"
            raise FeedUnavailable(message) from error
        if not connected:
            message = f"the feed {self._feed.name} could not connect: its connect() returned False"
            raise FeedUnavailable(message)
        self._running = asyncio.create_task(self._run(), name=f"feed {self._feed.name}")

    async def stop(self) -> None:
        """Disconnect the feed, publish its queued bars and release the lease."""
        self._stopping = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting], timeout=CALL_TIMEOUT_S)
        await self._call_bounded(self._unsubscribe_all(), "unsubscribe everything")
        self._subscribed.clear()
        await self._call_bounded(self._feed.disconnect(), "disconnect")
        if self._running is not None:
            try:
                await self._publisher.drain(DRAIN_TIMEOUT_S)
            except FeedError as error:
                log.warning("the feed %s did not publish all bars: %s", self._feed.name, error)
            self._running.cancel()
            await asyncio.wait([self._running])
        self._feed.attach(None)

    async def _unsubscribe_all(self) -> bool:
        """Unsubscribe one symbol after the other, as `_apply_interest` does."""
        for symbol in sorted(self._subscribed):
            await self._call_bounded(self._feed.unsubscribe(symbol), f"unsubscribe {symbol}")
        return True

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._balancer.run())
                group.create_task(self._expire_clients())
                self._connecting = group.create_task(self._stay_connected())
                group.create_task(self._publish_heartbeats())
        except Exception:
            log.exception("the feed %s has failed", self._feed.name)
            raise

    async def _stay_connected(self) -> None:
        while True:
            await self._source_lost.wait()
            await self._reconnect()
            self._source_lost.clear()
            self._why = ""
            self._subscribed.clear()
            await self._apply_interest()

    async def _reconnect(self) -> None:
        """Connect until that succeeds and the source was not lost again meanwhile."""
        await self._call_bounded(self._feed.disconnect(), "disconnect")
        # The first pause comes before the first attempt: a source that dropped all its clients is
        # not reached by all of them in the same second.
        for pause_s in backoff(RECONNECT_FIRST_S, RECONNECT_MAX_S):
            await asyncio.sleep(pause_s)
            losses = self._losses
            if await self._call_bounded(self._feed.connect(), "connect", CONNECT_TIMEOUT_S):
                if losses == self._losses:
                    return
                await self._call_bounded(self._feed.disconnect(), "disconnect")

    async def _own(self, lease: Lease) -> None:
        responder = Responder(self._bus, KIND, self._instance, VERSION)
        try:
            await responder.start()
            subject = subjects.feed_control(self._feed.name)
            await responder.add_endpoint(subject, SubscribeRequest, self._on_subscribe)
            await self._publish_state()
            await self._publisher.run(lease)
        finally:
            await responder.stop()

    async def _on_subscribe(self, request: SubscribeRequest) -> ChunkedReply:
        self._interest.update(request.client, request.symbols)
        refused = await self._apply_interest()
        accepted = tuple(symbol for symbol in request.symbols if symbol in self._subscribed)
        reasons = {symbol: refused[symbol] for symbol in request.symbols if symbol in refused}
        feeds = dict.fromkeys(accepted, self._feed.name)
        return ChunkedReply(SubscribeReply(accepted, reasons, feeds))

    async def _apply_interest(self) -> dict[str, str]:
        """Subscribe to the requested symbols, unsubscribe from others, return what was refused."""
        async with self._interest_lock:
            refused = {}
            for symbol in self._until_stopped(self._interest.symbols - self._subscribed):
                if await self._call_bounded(self._feed.subscribe(symbol), f"subscribe {symbol}"):
                    self._subscribed.add(symbol)
                else:
                    refused[symbol] = f"the feed {self._feed.name} refuses it"
            for symbol in self._until_stopped(self._subscribed - self._interest.symbols):
                self._subscribed.discard(symbol)
                await self._call_bounded(self._feed.unsubscribe(symbol), f"unsubscribe {symbol}")
            return refused

    def _until_stopped(self, symbols: frozenset[str] | set[str]) -> Iterator[str]:
        """Yield symbols in order until the feed is stopped."""
        for symbol in sorted(symbols):
            if self._stopping:
                return
            yield symbol

    async def _call_bounded(
        self, call: Awaitable[bool | None], what: str, limit_s: float = CALL_TIMEOUT_S
    ) -> bool:
        """Call the user's code within a limit; log its errors and return False for them."""
        try:
            async with asyncio.timeout(limit_s):
                return bool(await call)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            log.exception("the feed %s failed to %s", self._feed.name, what)
            return False

    async def _expire_clients(self) -> None:
        """Unsubscribe from the symbols of clients that no longer renew their interest."""
        while True:
            await asyncio.sleep(EXPIRY_CHECK_S)
            if self._subscribed - self._interest.symbols:
                await self._apply_interest()

    async def _publish_state(self) -> None:
        event = FeedEvent(self._feed.name, "connected", time.time_ns(), self._instance)
        await self._bus.publish_message(subjects.event("feed"), event)

    async def _publish_heartbeats(self) -> None:
        while True:
            labels = {"feed": self._feed.name}
            published = Sample("lean_lite_feed_published_total", labels, self._publisher.published)
            heartbeat = Heartbeat(
                KIND,
                self._instance,
                os.getpid(),
                self._started_ns,
                time.time_ns(),
                tuple(self.failing()),
                version=VERSION,
                samples=(published,),
            )
            if self._bus.connected:
                await self._bus.publish_message(subjects.heartbeat(KIND, self._instance), heartbeat)
            await asyncio.sleep(HEARTBEAT_S)
