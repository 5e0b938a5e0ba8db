"""
IngestService: keys and connections of one Alpaca account.

In: Alpaca's websockets and REST. Out: stream RAW, `md.raw.<feed>.<class>.<p>`, frames as received.
Replies: `md.ctl.subscribe`, and `md.ctl.backfill` with frames in BULK_RAW. Scale: one per account
works; others stand by for its lease.
"""

import asyncio
from collections.abc import Iterable

from lean_lite.bus import ChunkedReply, Lease, LeaseBalancer, Leases, Responder, SlowestConsumer
from lean_lite.config import IngestConfig
from lean_lite.errors import ConfigError, RequestError
from lean_lite.market.symbols import asset_class_of
from lean_lite.protocol import subjects
from lean_lite.protocol.control import BackfillRequest, SubscribeReply, SubscribeRequest
from lean_lite.service import Context
from lean_lite.version import VERSION
from lean_lite_ingest.alpaca import alpaca_sources, check_keys
from lean_lite_ingest.alpaca.symbols import split_valid
from lean_lite_ingest.feed import Feed
from lean_lite_ingest.source import raise_refused

KIND = "ingest"


class IngestService:
    """
    The feeds of an account, while this process has its lease.

    ConfigError for missing keys or an invalid symbol among the settings.
    """

    def __init__(self, context: Context) -> None:
        check_keys(context.config.alpaca)
        _check_symbols(context.config.ingest)
        self._context = context
        leases = Leases(context.bus, KIND, context.instance)
        self._balancer = LeaseBalancer(leases, [subjects.lease(KIND, "alpaca")], self._run_feeds)
        self._feeds: dict[str, Feed] = {}
        self._replying = False

    async def run(self) -> None:
        """Wait for the lease, run the feeds under it, and release it at the end."""
        await self._balancer.run()

    def failing(self) -> Iterable[str]:
        """Yield the reasons why bars are not published."""
        if not self._feeds:
            yield "another ingest owns this account, or its lease has not expired yet"
        elif not self._replying:
            yield "subscriptions are not replied to yet"
        for feed in self._feeds.values():
            yield from feed.failing()

    async def _run_feeds(self, lease: Lease) -> None:
        bus, config = self._context.bus, self._context.config
        slowest = SlowestConsumer(bus, shared="validate", each="store")
        feeds = [Feed(self._context, lease, source, slowest) for source in alpaca_sources(config)]
        responder = Responder(bus, KIND, self._context.instance, VERSION)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(slowest.run())
                for feed in feeds:
                    group.create_task(feed.run())
                self._feeds = {feed.asset_class: feed for feed in feeds}
                # Before a feed has loaded its interest, a renewal would look like a new symbol.
                await asyncio.gather(*(feed.loaded.wait() for feed in feeds))
                await responder.start()
                await responder.add_endpoint(
                    subjects.SUBSCRIBE, SubscribeRequest, self._on_subscribe
                )
                await responder.add_endpoint(subjects.BACKFILL, BackfillRequest, self._on_backfill)
                self._replying = True
        finally:
            self._feeds = {}
            self._replying = False
            await responder.stop()

    async def _on_subscribe(self, request: SubscribeRequest) -> ChunkedReply:
        valid, refused = split_valid(request.symbols)
        for asset_class, feed in self._feeds.items():
            refused |= await feed.subscribe([s for s in valid if asset_class_of(s) == asset_class])
        accepted = tuple(symbol for symbol in valid if symbol not in refused)
        alpaca = self._context.config.alpaca
        feeds = {symbol: alpaca.feed_of(asset_class_of(symbol)) for symbol in accepted}
        return ChunkedReply(SubscribeReply(accepted, refused, feeds))

    async def _on_backfill(self, request: BackfillRequest) -> ChunkedReply:
        _, refused = split_valid([request.symbol])
        raise_refused(refused)
        feed = self._feeds.get(asset_class_of(request.symbol))
        if feed is None or request.feed not in ("", feed.name):
            code = "feed"
            message = f"the feed {request.feed!r} of {request.symbol} is not served by this account"
            raise RequestError(code, message)
        return ChunkedReply(await feed.backfill(request))


def _check_symbols(ingest: IngestConfig) -> None:
    _, refused = split_valid(ingest.symbols)
    for reason in refused.values():
        raise ConfigError("ingest.symbols", reason)
