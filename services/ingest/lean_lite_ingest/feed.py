"""Feed: the bars of one asset class from a vendor's connection to the lanes of RAW."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from lean_lite.blocks import Origin
from lean_lite.bus import Lease, SlowestConsumer
from lean_lite.market.symbols import asset_class_of
from lean_lite.model.timestamps import MINUTE_NS
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.partitions import PARTITIONS, Lane, partition_of
from lean_lite.service import Context, ExternalReason
from lean_lite_ingest.backfill import Backfill
from lean_lite_ingest.bulk_publisher import BulkPublisher
from lean_lite_ingest.clock import ClockSkewMonitor, sync_clock
from lean_lite_ingest.connection import FeedConnection
from lean_lite_ingest.gap_filler import GapFiller
from lean_lite_ingest.interest import Interests
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rows import Row
from lean_lite_ingest.source import MarketDataSource, Refusals

EXPIRE_EVERY_S = 5.0
# Less than half of the 2 s that a service has to stop (`service.drain_s`).
DRAIN_S = 0.8

log = logging.getLogger(__name__)


class Feed:
    """
    One feed of an account: connection, lanes, gaps and history.

    It is the listener of its connection. `loaded` is set once the lanes are owned and the interest
    of the former owner is loaded.
    """

    def __init__(
        self, context: Context, lease: Lease, source: MarketDataSource, slowest: SlowestConsumer
    ) -> None:
        bus, settings = context.bus, context.config.ingest
        self._source = source
        self._clock = source.clock
        self.name = source.feed
        self.asset_class = source.asset_class
        pinned = [s for s in settings.symbols if asset_class_of(s) == source.asset_class]
        self._interests = Interests(bus, source.feed, pinned, settings.interest_ttl_s)
        lanes = [Lane(source.asset_class, partition) for partition in range(PARTITIONS)]
        self._publishers = {
            lane: IngestLanePublisher(
                bus,
                source.feed,
                lane,
                lease,
                source.clock,
                bound=settings.pending_bars,
                simulated=source.simulated,
                on_gap=self._on_gap,
            )
            for lane in lanes
        }
        self._connection = FeedConnection(bus, source, self)
        self._gap_filler = GapFiller(
            bus,
            source,
            self._connection,
            interests=self._interests,
            publishers=self._publishers,
            settings=settings,
        )
        self._backfill = Backfill(
            source,
            publishers=self._publishers,
            live_since_ns=self._interests.live_since_ns,
            new_publisher=lambda lane: BulkPublisher(
                bus,
                source.feed,
                lane,
                lease,
                clock=source.clock,
                slowest=slowest,
                simulated=source.simulated,
            ),
        )
        self._skew = ClockSkewMonitor(source.feed)
        self.loaded = asyncio.Event()

    def failing(self) -> Iterable[str]:
        """Yield the reasons why this feed has no bars."""
        if self._connection.refusal:
            yield ExternalReason(
                f"{self._source.vendor} refuses the feed {self.name}: {self._connection.refusal}"
            )
        elif not self.loaded.is_set():
            yield f"the lanes of feed {self.name} are being taken over"
        elif self._interests.since_ns and not self._connection.connected:
            reason, why = f"the feed {self.name} is not connected", self._connection.connect_error
            # The start of a stack waits until internal reasons are gone, such as a first attempt to
            # connect that is in progress. It does not wait for external ones.
            yield ExternalReason(f"{reason}: {why}") if why else reason

    async def run(self) -> None:
        """Own the lanes, stay connected and fill gaps until cancelled; then publish the rest."""
        await asyncio.gather(*(publisher.take_over() for publisher in self._publishers.values()))
        await sync_clock(self._clock, self.name)
        await self._interests.load(self._now_ns())
        self._connection.add_symbols(self._interests.since_ns)
        self.loaded.set()
        publishing = asyncio.gather(*(publisher.run() for publisher in self._publishers.values()))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_await_shielded(publishing))
                group.create_task(self._connection.run())
                group.create_task(self._gap_filler.run())
                group.create_task(self._expire_interests())
        finally:
            await self._backfill.stop()
            await self._drain()
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def subscribe(self, symbols: Sequence[str]) -> Refusals:
        """Subscribe symbols or renew them; return those that the vendor refuses."""
        refused = await self._source.symbols.find_unknown(self._new_symbols(symbols))
        accepted = [symbol for symbol in symbols if symbol not in refused]
        new = self._new_symbols(accepted)
        await self._interests.add(accepted, self._now_ns())
        if not new:
            return refused
        reason = await self._connection.subscribe(new)
        if reason:
            await self._interests.discard(new)
            return refused | dict.fromkeys(new, f"{self._source.vendor} refuses it: {reason}")
        if self._connection.connected:
            # If it is not connected, the next connection looks for gaps in all lanes anyway.
            self._gap_filler.add_symbols(new)
        return refused

    async def backfill(self, request: BackfillRequest) -> BackfillReply:
        """Fetch history, or reply that it is in progress; RequestError and Busy as `Backfill`."""
        return await self._backfill.run(request)

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        """Queue the bars of one message in their lanes."""
        received_ns = self._clock.feed_ns(wall_ns)
        for row in rows:
            if row.origin == Origin.LIVE:
                self._skew.check(row.start_ns + MINUTE_NS, received_ns)
            self._publishers[Lane(self.asset_class, partition_of(row.symbol))].put_nowait(row)

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        """Set the time since which symbols are live: later bars are received, or in a gap."""
        self._interests.set_live(symbols, self._now_ns())

    def on_connected(self) -> None:
        """Look for gaps in all lanes: bars may have been missed since the last connection."""
        for lane in self._publishers:
            self._gap_filler.add_lane(lane)

    def on_disconnected(self) -> None:
        """Declare nothing complete until the gaps of the next connection are filled."""
        self._clock.invalidate()
        for publisher in self._publishers.values():
            publisher.suspend_completeness()

    def _on_gap(self, lane: Lane) -> None:
        self._gap_filler.add_lane(lane)

    def _new_symbols(self, symbols: Iterable[str]) -> list[str]:
        return [symbol for symbol in symbols if symbol not in self._interests.since_ns]

    async def _drain(self) -> None:
        """Publish what is queued, now that nothing more is received."""
        try:
            async with asyncio.timeout(DRAIN_S):
                # The end of the stream has invalidated the clock, and frames need the feed's time.
                await sync_clock(self._clock, self.name)
                await asyncio.gather(*(each.drain() for each in self._publishers.values()))
        except TimeoutError:
            log.warning("feed.drain_timed_out", extra={"feed": self.name})

    async def _expire_interests(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY_S)
            expired = self._interests.expired()
            if expired:
                await self._connection.unsubscribe(expired)
                await self._interests.discard(expired)

    def _now_ns(self) -> int:
        return self._clock.feed_ns(time.time_ns())


async def _await_shielded(work: asyncio.Future[list[None]]) -> None:
    """Fail when `work` fails; a cancellation leaves it running."""
    await asyncio.shield(work)
