"""
Ingest owns the keys and the sockets of one Alpaca account.

In: Alpaca's websockets and REST. Out: stream RAW, `md.raw.<feed>.<class>.<p>`, frames as received.
Answers: `md.ctl.subscribe`, and `md.ctl.backfill` with frames in BULK_RAW. Scale: one per account
works; another one stands by for its lease.
"""

import asyncio
from collections.abc import Iterable

from lean_lite.bus import ChunkedReply, Lease, LeaseBalancer, Leases, Responder, SlowestConsumer
from lean_lite.config import AlpacaConfig, IngestConfig
from lean_lite.config.sections import NO_KEYS
from lean_lite.errors import ConfigError, RequestError
from lean_lite.market.symbols import asset_class_of
from lean_lite.protocol import subjects
from lean_lite.protocol.control import BackfillRequest, SubscribeReply, SubscribeRequest
from lean_lite.service import Context
from lean_lite.version import VERSION
from lean_lite_ingest.alpaca.symbols import raise_refused, split_valid
from lean_lite_ingest.clock import FeedClock, SimulatorClock, WallClock
from lean_lite_ingest.feed import Feed
from lean_lite_ingest.rate_limit import RateLimit

KIND = "ingest"
SERVED = ("equity", "crypto")


class IngestService:
    """Carry the account's bars to the bus while its lease is ours."""

    def __init__(self, context: Context) -> None:
        """Connect nothing before `run`; ConfigError for missing keys or a bad symbol."""
        _check_keys(context.config.alpaca)
        _check_symbols(context.config.ingest)
        self._context = context
        leases = Leases(context.bus, KIND, context.instance)
        self._shares = LeaseBalancer(leases, [subjects.lease(KIND, "alpaca")], self._own)
        self._feeds: dict[str, Feed] = {}
        self._answering = False

    async def run(self) -> None:
        """Wait for the lease, work under it, give it back at the end."""
        await self._shares.run()

    def failing(self) -> Iterable[str]:
        """Name what keeps bars from coming."""
        if not self._feeds:
            yield "another ingest owns this account, or its lease has not run out yet"
        elif not self._answering:
            yield "subscriptions are not answered yet"
        for feed in self._feeds.values():
            yield from feed.failing()

    async def _own(self, lease: Lease) -> None:
        bus = self._context.bus
        slowest = SlowestConsumer(bus, shared="validate", each="store")
        feeds = self._build(lease, slowest)
        responder = Responder(bus, KIND, self._context.instance, VERSION)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(slowest.run())
                for feed in feeds.values():
                    group.create_task(feed.run())
                self._feeds = feeds
                # Before a feed knows since when a symbol is wanted, a renewal would look new.
                await asyncio.gather(*(feed.loaded.wait() for feed in feeds.values()))
                await responder.start()
                await responder.add_endpoint(
                    subjects.SUBSCRIBE, SubscribeRequest, self._on_subscribe
                )
                await responder.add_endpoint(subjects.BACKFILL, BackfillRequest, self._on_backfill)
                self._answering = True
        finally:
            self._feeds = {}
            self._answering = False
            await responder.stop()

    def _build(self, lease: Lease, slowest: SlowestConsumer) -> dict[str, Feed]:
        alpaca = self._context.config.alpaca
        limit = RateLimit(self._context.config.ingest.rest_requests_per_min)
        return {
            asset_class: Feed(
                self._context,
                lease,
                _clock(alpaca),
                limit,
                slowest,
                asset_class=asset_class,
                name=alpaca.feed_of(asset_class),
            )
            for asset_class in SERVED
        }

    async def _on_subscribe(self, request: SubscribeRequest) -> ChunkedReply:
        good, refused = split_valid(request.symbols)
        for asset_class, feed in self._feeds.items():
            symbols = [s for s in good if asset_class_of(s) == asset_class]
            refused |= await feed.subscribe(symbols)
        accepted = tuple(symbol for symbol in good if symbol not in refused)
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


def _clock(alpaca: AlpacaConfig) -> FeedClock:
    return SimulatorClock(alpaca.rest_url) if alpaca.simulated else WallClock()


def _check_keys(alpaca: AlpacaConfig) -> None:
    for key in ("key_id", "secret_key"):
        if not getattr(alpaca, key):
            raise ConfigError(f"alpaca.{key}", NO_KEYS)


def _check_symbols(ingest: IngestConfig) -> None:
    _, refused = split_valid(ingest.symbols)
    for reason in refused.values():
        raise ConfigError("ingest.symbols", reason)
