"""One source of bars: its socket, its lanes, and the way back to what the socket missed."""

import asyncio
import logging
import time
from collections.abc import Iterable

from lean_lite.blocks import Origin
from lean_lite.bus import Lease, SlowestConsumer
from lean_lite.bus.retry import retry
from lean_lite.errors import FeedUnavailable
from lean_lite.market.symbols import asset_class_of
from lean_lite.model.timestamps import MINUTE_NS
from lean_lite.protocol import subjects
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.events import FeedEvent, FeedState, GapEvent, GapState
from lean_lite.protocol.partitions import PARTITIONS, Lane, partition_of
from lean_lite.service import Context, ExternalReason
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.alpaca.error_codes import explain
from lean_lite_ingest.alpaca.rest import AlpacaHistory
from lean_lite_ingest.alpaca.stream import CryptoStream, Hooks, Message, StockStream
from lean_lite_ingest.alpaca.symbols import Refusals, SymbolDirectory
from lean_lite_ingest.alpaca.wire import ORIGINS, to_row
from lean_lite_ingest.backfill import Backfill
from lean_lite_ingest.bulk_publisher import BulkPublisher
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.clock_skew import ClockSkewMonitor
from lean_lite_ingest.gap_filler import FilledGap, GapFiller, GapRange, describe
from lean_lite_ingest.interest import Interests
from lean_lite_ingest.lane_publisher import IngestLanePublisher
from lean_lite_ingest.rate_limit import RateLimit

ANSWER_S = 2.0
PRUNE_S = 5.0
DRAIN_S = 0.8
REFUSED_WAIT_S = 60.0

log = logging.getLogger(__name__)


class Feed:
    """Carry the bars of one asset class from Alpaca to RAW."""

    def __init__(
        self,
        context: Context,
        lease: Lease,
        clock: FeedClock,
        limit: RateLimit,
        slowest: SlowestConsumer,
        *,
        asset_class: str,
        name: str,
    ) -> None:
        """Connect nothing before `run`."""
        config, bus = context.config, context.bus
        self._bus = bus
        self._settings = config.ingest
        self._clock = clock
        self.name = name
        self.asset_class = asset_class
        pinned = [s for s in config.ingest.symbols if asset_class_of(s) == asset_class]
        self._interests = Interests(bus, name, pinned, config.ingest.forget_s)
        lanes = [Lane(asset_class, partition) for partition in range(PARTITIONS)]
        self._publishers = {
            lane: IngestLanePublisher(
                bus,
                name,
                lane,
                lease,
                clock,
                bound=config.ingest.pending_bars,
                simulated=config.alpaca.simulated,
                on_gap=self._on_gap,
            )
            for lane in lanes
        }
        rest = AlpacaHistory(config.alpaca, asset_class, name, limit, config.ingest.rest_timeout_s)
        self._directory = SymbolDirectory(rest)
        self._gap_filler = GapFiller(rest, name, self._publishers, config.ingest.refill_span_s)
        self._live_since_ns: dict[str, int] = {}
        self._backfill = Backfill(
            rest,
            clock,
            self._directory,
            publishers=self._publishers,
            since_ns=self._live_since_ns.get,
            lane=lambda lane: BulkPublisher(
                bus,
                name,
                lane,
                lease,
                clock=clock,
                slowest=slowest,
                simulated=config.alpaca.simulated,
            ),
        )
        frames = CryptoStream if asset_class == "crypto" else StockStream
        self._stream = frames(
            str(config.alpaca.key_id),
            str(config.alpaca.secret_key),
            name,
            config.alpaca.stream_url,
            Hooks(self._on_batch, self._on_control, self._on_disconnected),
        )
        self._gap_lanes: set[Lane] = set()
        self._new_symbols: set[str] = set()
        self._gaps_found = asyncio.Event()
        self._has_symbols = asyncio.Event()
        self._reply_received = asyncio.Event()
        self._subscribed: frozenset[str] = frozenset()
        self._refusal: tuple[int, str] | None = None
        self._skew = ClockSkewMonitor(name)
        self._disconnects = 0
        self.connected = False
        self.loaded = asyncio.Event()

    def failing(self) -> Iterable[str]:
        """Name what keeps bars from coming."""
        if self._stream.refusal is not None:
            why = explain(*self._stream.refusal)
            yield ExternalReason(f"Alpaca refuses the feed {self.name}: {why}")
        elif not self.loaded.is_set():
            yield f"the lanes of feed {self.name} are being taken over"
        elif self._interests.since_ns and not self.connected:
            reason, why = f"the feed {self.name} is not connected", self._stream.trouble
            # A first attempt that is still under way is worth waiting for.
            yield ExternalReason(f"{reason}: {why}") if why else reason

    async def run(self) -> None:
        """Own the lanes, stay connected, fill holes, until cancelled."""
        await asyncio.gather(*(outbox.take_over() for outbox in self._publishers.values()))
        await self._set_clock()
        await self._interests.load(self._now_ns())
        self._add_to_stream(self._interests.since_ns)
        self.loaded.set()
        publishing = asyncio.gather(*(outbox.run() for outbox in self._publishers.values()))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_shielded(publishing))
                group.create_task(self._stay_connected())
                group.create_task(self._fill_gaps(group))
                group.create_task(self._expire_interests())
        finally:
            await self._backfill.stop()
            await self._drain()
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def backfill(self, request: BackfillRequest) -> BackfillReply:
        """Fetch history, or say that it is on its way; RequestError and Busy as in `Backfill`."""
        return await self._backfill.run(request)

    async def subscribe(self, symbols: list[str]) -> Refusals:
        """Subscribe to symbols, remember them, and say which ones Alpaca refuses."""
        unknown = await self._directory.unknown(self._not_subscribed(symbols))
        symbols = [symbol for symbol in symbols if symbol not in unknown]
        new = self._not_subscribed(symbols)
        await self._interests.add(symbols, self._now_ns())
        if not new:
            return unknown
        self._refusal = None
        self._add_to_stream(new)
        await self._stream.subscribe_all()
        refusal = await self._wait_for_reply(new)
        if refusal is None:
            self._add_start_gaps(new)
            return unknown
        await self._stream.remove_symbols(new)
        await self._discard(new)
        return unknown | dict.fromkeys(new, f"Alpaca refuses it: {explain(*refusal)}")

    def _add_start_gaps(self, symbols: list[str]) -> None:
        # A connection still to come opens its lanes with holes, which hold these minutes too.
        if self.connected:
            self._new_symbols.update(symbols)
            self._gaps_found.set()

    def _not_subscribed(self, symbols: Iterable[str]) -> list[str]:
        return [symbol for symbol in symbols if symbol not in self._interests.since_ns]

    async def _drain(self) -> None:
        """Publish what has been received, now that nothing comes any more."""
        try:
            async with asyncio.timeout(DRAIN_S):
                # Unset when the stream ended, and nothing is published without it.
                await self._set_clock()
                await asyncio.gather(*(outbox.drain() for outbox in self._publishers.values()))
        except TimeoutError:
            log.warning("feed.drain_timed_out", extra={"feed": self.name})

    def _add_to_stream(self, symbols: Iterable[str]) -> None:
        self._stream.add_symbols(symbols)
        counters.SYMBOLS.labels(self.name).set(len(self._interests.since_ns))
        if self._interests.since_ns:
            self._has_symbols.set()

    async def _wait_for_reply(self, symbols: list[str]) -> tuple[int, str] | None:
        """Wait for Alpaca's word on a subscription; no word in time is taken as a yes."""

        def told() -> bool:
            return self._refused() is not None or self._subscribed.issuperset(symbols)

        try:
            async with asyncio.timeout(ANSWER_S):
                while not told():
                    self._reply_received.clear()
                    await self._reply_received.wait()
        except TimeoutError:
            log.warning("feed.no_answer", extra={"feed": self.name, "symbols": symbols})
        return self._refused()

    def _refused(self) -> tuple[int, str] | None:
        return self._refusal or self._stream.refusal

    async def _stay_connected(self) -> None:
        while True:
            await self._has_symbols.wait()
            await self._stream.run_connected()
            if self._stream.refusal is not None:
                # Whoever waits for an answer to a subscription has it now.
                self._reply_received.set()
                why = explain(*self._stream.refusal)
                log.error("feed.refused", extra={"feed": self.name, "error": why})
                await self._publish_state("refused", why)
                await asyncio.sleep(REFUSED_WAIT_S)
                self._stream.refusal = None

    def _on_batch(self, messages: list[Message], wall_ns: int) -> None:
        received = 0
        received_ns = self._clock.feed_ns(wall_ns)
        for message in messages:
            origin = ORIGINS.get(message.get("T", ""))
            if origin is None:
                continue
            try:
                row = to_row(message, origin, wall_ns)
            except (KeyError, TypeError, ValueError) as error:
                counters.UNREADABLE.labels(self.name).inc()
                log.warning("message.unreadable", extra={"feed": self.name, "error": repr(error)})
                continue
            if row.origin == Origin.LIVE:
                self._skew.check(row.start_ns + MINUTE_NS, received_ns)
            self._publishers[Lane(self.asset_class, partition_of(row.symbol))].put_nowait(row)
            received += 1
        counters.RECEIVED.labels(self.name).inc(received)
        counters.RECEIVED_AT.labels(self.name).set(wall_ns / 1e9)

    def _on_control(self, message: Message) -> None:
        if message["T"] == "error":
            self._refusal = (int(message.get("code", 0)), str(message.get("msg", "")))
            log.error("feed.error", extra={"feed": self.name, "refusal": self._refusal})
        elif message["T"] == "subscription":
            self._subscribed = frozenset(message.get("bars", ()))
            # A bar that ends from here on comes over the socket, or is a hole that is filled.
            for symbol in self._subscribed - self._live_since_ns.keys():
                self._live_since_ns[symbol] = self._now_ns()
            if not self.connected:
                self._on_connected()
        self._reply_received.set()

    def _on_connected(self) -> None:
        self.connected = True
        counters.CONNECTS.labels(self.name).inc()
        counters.CONNECTED.labels(self.name).set(1)
        for lane in self._publishers:
            self._on_gap(lane)

    def _on_disconnected(self) -> None:
        self.connected = False
        self._disconnects += 1
        self._clock.invalidate()
        counters.CONNECTED.labels(self.name).set(0)
        for outbox in self._publishers.values():
            outbox.suspend_completeness()

    def _on_gap(self, lane: Lane) -> None:
        self._gap_lanes.add(lane)
        self._gaps_found.set()

    async def _fill_gaps(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._gaps_found.wait()
            self._gaps_found.clear()
            lanes, self._gap_lanes = self._gap_lanes, set()
            joints, self._new_symbols = self._new_symbols, set()
            breaks = self._disconnects
            await self._set_clock()
            await self._clock.wait_synced()
            if lanes:
                await self._publish_state("connected", f"{len(self._interests.since_ns)} symbols")
            holes, lost = self._gap_filler.gaps(lanes, self._interests.since_ns, self._now_ns())
            for hole in lost:
                self._live_since_ns |= dict.fromkeys(hole.symbols, hole.end_ns + MINUTE_NS)
                await self._publish_gap(FilledGap(hole, 0), "unrecoverable")
            holes += self._gap_filler.start_gaps(joints, self._interests.since_ns, self._now_ns())
            await self._fill(holes)
            if breaks == self._disconnects:
                for lane in lanes:
                    self._publishers[lane].resume_completeness()
            if holes:
                group.create_task(self._fill_again(holes))

    async def _fill(self, holes: list[GapRange]) -> None:
        for filled in await self._gap_filler.fill(holes, self._interests.since_ns):
            log.info("hole.filled", extra={"hole": describe(filled.gap), "rows": filled.rows})
            await self._publish_gap(filled, "filled")

    async def _fill_again(self, holes: list[GapRange]) -> None:
        """Fetch once more when late trades have corrected the last bars."""
        await asyncio.sleep(self._clock.wall_s(self._settings.refill_again_s))
        await self._fill(holes)

    async def _set_clock(self) -> None:
        await retry(self._clock.sync, (FeedUnavailable,), on_retry=self._on_clock_failed)

    def _on_clock_failed(self, error: Exception) -> None:
        log.warning("clock.unset", extra={"feed": self.name, "error": str(error)})

    async def _expire_interests(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            silent = self._interests.expired()
            if silent:
                await self._stream.remove_symbols(silent)
                await self._discard(silent)
                counters.SYMBOLS.labels(self.name).set(len(self._interests.since_ns))

    async def _discard(self, symbols: list[str]) -> None:
        for symbol in symbols:
            self._live_since_ns.pop(symbol, None)
        await self._interests.discard(symbols)

    def _now_ns(self) -> int:
        return self._clock.feed_ns(time.time_ns())

    async def _publish_state(self, state: FeedState, detail: str) -> None:
        event = FeedEvent(self.name, state, time.time_ns(), detail)
        await self._bus.publish_message(subjects.event("feed"), event)

    async def _publish_gap(self, filled: FilledGap, state: GapState) -> None:
        hole = filled.gap
        event = GapEvent(self.name, hole.symbols, hole.start_ns, hole.end_ns, state, filled.rows)
        await self._bus.publish_message(subjects.event("gap"), event)


async def _shielded(work: asyncio.Future[list[None]]) -> None:
    """Share the failure of work that outlives the sharer's cancellation."""
    await asyncio.shield(work)
