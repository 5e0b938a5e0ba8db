"""One source of bars: its socket, its lanes, and the way back to what the socket missed."""

import asyncio
import logging
import time
from collections.abc import Iterable

from lean_lite.blocks import Origin
from lean_lite.bus import Lease, Slowest
from lean_lite.errors import FeedUnavailable
from lean_lite.market.symbols import asset_class_of
from lean_lite.model.timestamps import MINUTE_NS
from lean_lite.protocol import subjects
from lean_lite.protocol.control import BackfillReply, BackfillRequest
from lean_lite.protocol.events import FeedEvent, FeedState, GapEvent, GapState
from lean_lite.protocol.partitions import PARTITIONS, Lane, partition_of
from lean_lite.service import Context, Outside
from lean_lite_ingest import metrics as counters
from lean_lite_ingest.alpaca.error_codes import explained
from lean_lite_ingest.alpaca.rest import Rest
from lean_lite_ingest.alpaca.stream import CryptoFrames, Hooks, Message, StockFrames
from lean_lite_ingest.alpaca.symbols import Directory, Refusals
from lean_lite_ingest.alpaca.wire import ORIGINS, row_of
from lean_lite_ingest.backfill import Backfill
from lean_lite_ingest.bulk_publisher import BulkLane
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.clock_skew import Skew
from lean_lite_ingest.gap_filler import Filled, Hole, Refill, describe
from lean_lite_ingest.interest import Wanted
from lean_lite_ingest.lane_publisher import Outbox
from lean_lite_ingest.rate_limit import RateLimit

ANSWER_S = 2.0
PRUNE_S = 5.0
DRAIN_S = 0.8
REFUSED_WAIT_S = 60.0
CLOCK_RETRY_S = 0.05

log = logging.getLogger(__name__)


class Feed:
    """Carry the bars of one asset class from Alpaca to RAW."""

    def __init__(
        self,
        context: Context,
        lease: Lease,
        clock: FeedClock,
        limit: RateLimit,
        slowest: Slowest,
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
        self._wanted = Wanted(bus, name, pinned, config.ingest.forget_s)
        lanes = [Lane(asset_class, partition) for partition in range(PARTITIONS)]
        self._outboxes = {
            lane: Outbox(
                bus,
                name,
                lane,
                lease,
                clock,
                bound=config.ingest.pending_bars,
                simulated=config.alpaca.simulated,
                on_hole=self._on_hole,
            )
            for lane in lanes
        }
        rest = Rest(config.alpaca, asset_class, name, limit, config.ingest.rest_timeout_s)
        self._directory = Directory(rest)
        self._refill = Refill(rest, name, self._outboxes, config.ingest.refill_span_s)
        self._live_since_ns: dict[str, int] = {}
        self._backfill = Backfill(
            rest,
            clock,
            self._directory,
            outboxes=self._outboxes,
            since_ns=self._live_since_ns.get,
            lane=lambda lane: BulkLane(
                bus,
                name,
                lane,
                lease,
                clock=clock,
                slowest=slowest,
                simulated=config.alpaca.simulated,
            ),
        )
        frames = CryptoFrames if asset_class == "crypto" else StockFrames
        self._stream = frames(
            str(config.alpaca.key_id),
            str(config.alpaca.secret_key),
            name,
            config.alpaca.stream_url,
            Hooks(self._on_batch, self._on_control, self._on_disconnected),
        )
        self._holes: set[Lane] = set()
        self._joints: set[str] = set()
        self._holes_found = asyncio.Event()
        self._any_wanted = asyncio.Event()
        self._told = asyncio.Event()
        self._subscribed: frozenset[str] = frozenset()
        self._refusal: tuple[int, str] | None = None
        self._skew = Skew(name)
        self._breaks = 0
        self.connected = False
        self.loaded = asyncio.Event()

    def failing(self) -> Iterable[str]:
        """Name what keeps bars from coming."""
        if self._stream.refusal is not None:
            why = explained(*self._stream.refusal)
            yield Outside(f"Alpaca refuses the feed {self.name}: {why}")
        elif not self.loaded.is_set():
            yield f"the lanes of feed {self.name} are being taken over"
        elif self._wanted.since_ns and not self.connected:
            reason, why = f"the feed {self.name} is not connected", self._stream.trouble
            # A first attempt that is still under way is worth waiting for.
            yield Outside(f"{reason}: {why}") if why else reason

    async def run(self) -> None:
        """Own the lanes, stay connected, fill holes, until cancelled."""
        await asyncio.gather(*(outbox.take_over() for outbox in self._outboxes.values()))
        await self._set_clock()
        await self._wanted.load(self._now_ns())
        self._wish(self._wanted.since_ns)
        self.loaded.set()
        publishing = asyncio.gather(*(outbox.run() for outbox in self._outboxes.values()))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_shielded(publishing))
                group.create_task(self._stay_connected())
                group.create_task(self._fill_holes(group))
                group.create_task(self._prune())
        finally:
            await self._backfill.stop()
            await self._drain()
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def backfill(self, request: BackfillRequest) -> BackfillReply:
        """Fetch history, or say that it is on its way; RequestError and Busy as in `Backfill`."""
        return await self._backfill.want(request)

    async def want(self, symbols: list[str]) -> Refusals:
        """Subscribe to symbols, remember them, and say which ones Alpaca refuses."""
        unknown = await self._directory.refuse(self._new(symbols))
        symbols = [symbol for symbol in symbols if symbol not in unknown]
        new = self._new(symbols)
        await self._wanted.add(symbols, self._now_ns())
        if not new:
            return unknown
        self._refusal = None
        self._wish(new)
        await self._stream.ask()
        refusal = await self._answer(new)
        if refusal is None:
            self._join(new)
            return unknown
        await self._stream.drop(new)
        await self._forget(new)
        return unknown | dict.fromkeys(new, f"Alpaca refuses it: {explained(*refusal)}")

    def _join(self, symbols: list[str]) -> None:
        # A connection still to come opens its lanes with holes, which hold these minutes too.
        if self.connected:
            self._joints.update(symbols)
            self._holes_found.set()

    def _new(self, symbols: Iterable[str]) -> list[str]:
        return [symbol for symbol in symbols if symbol not in self._wanted.since_ns]

    async def _drain(self) -> None:
        """Publish what has been received, now that nothing comes any more."""
        try:
            async with asyncio.timeout(DRAIN_S):
                # Unset when the stream ended, and nothing is published without it.
                await self._set_clock()
                await asyncio.gather(*(outbox.drained() for outbox in self._outboxes.values()))
        except TimeoutError:
            log.warning("feed.drain_timed_out", extra={"feed": self.name})

    def _wish(self, symbols: Iterable[str]) -> None:
        self._stream.want(symbols)
        counters.SYMBOLS.labels(self.name).set(len(self._wanted.since_ns))
        if self._wanted.since_ns:
            self._any_wanted.set()

    async def _answer(self, symbols: list[str]) -> tuple[int, str] | None:
        """Wait for Alpaca's word on a subscription; no word in time is taken as a yes."""

        def told() -> bool:
            return self._said_no() is not None or self._subscribed.issuperset(symbols)

        try:
            async with asyncio.timeout(ANSWER_S):
                while not told():
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            log.warning("feed.no_answer", extra={"feed": self.name, "symbols": symbols})
        return self._said_no()

    def _said_no(self) -> tuple[int, str] | None:
        return self._refusal or self._stream.refusal

    async def _stay_connected(self) -> None:
        while True:
            await self._any_wanted.wait()
            await self._stream.stay()
            if self._stream.refusal is not None:
                # Whoever waits for an answer to a subscription has it now.
                self._told.set()
                why = explained(*self._stream.refusal)
                log.error("feed.refused", extra={"feed": self.name, "error": why})
                await self._tell("refused", why)
                await asyncio.sleep(REFUSED_WAIT_S)
                self._stream.refusal = None

    def _on_batch(self, messages: list[Message], wall_ns: int) -> None:
        received = 0
        received_ns = self._clock.at(wall_ns)
        for message in messages:
            origin = ORIGINS.get(message.get("T", ""))
            if origin is None:
                continue
            try:
                row = row_of(message, origin, wall_ns)
            except (KeyError, TypeError, ValueError) as error:
                counters.UNREADABLE.labels(self.name).inc()
                log.warning("message.unreadable", extra={"feed": self.name, "error": repr(error)})
                continue
            if row.origin == Origin.LIVE:
                self._skew.check(row.start_ns + MINUTE_NS, received_ns)
            self._outboxes[Lane(self.asset_class, partition_of(row.symbol))].offer(row)
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
        self._told.set()

    def _on_connected(self) -> None:
        self.connected = True
        counters.CONNECTS.labels(self.name).inc()
        counters.CONNECTED.labels(self.name).set(1)
        for lane in self._outboxes:
            self._on_hole(lane)

    def _on_disconnected(self) -> None:
        self.connected = False
        self._breaks += 1
        self._clock.unset()
        counters.CONNECTED.labels(self.name).set(0)
        for outbox in self._outboxes.values():
            outbox.freeze()

    def _on_hole(self, lane: Lane) -> None:
        self._holes.add(lane)
        self._holes_found.set()

    async def _fill_holes(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._holes_found.wait()
            self._holes_found.clear()
            lanes, self._holes = self._holes, set()
            joints, self._joints = self._joints, set()
            breaks = self._breaks
            await self._set_clock()
            await self._clock.wait()
            if lanes:
                await self._tell("connected", f"{len(self._wanted.since_ns)} symbols")
            holes, lost = self._refill.holes(lanes, self._wanted.since_ns, self._now_ns())
            for hole in lost:
                self._live_since_ns |= dict.fromkeys(hole.symbols, hole.end_ns + MINUTE_NS)
                await self._report(Filled(hole, 0), "unrecoverable")
            holes += self._refill.joints(joints, self._wanted.since_ns, self._now_ns())
            await self._fill(holes)
            if breaks == self._breaks:
                for lane in lanes:
                    self._outboxes[lane].thaw()
            if holes:
                group.create_task(self._fill_again(holes))

    async def _fill(self, holes: list[Hole]) -> None:
        for filled in await self._refill.fill(holes, self._wanted.since_ns):
            log.info("hole.filled", extra={"hole": describe(filled.hole), "rows": filled.rows})
            await self._report(filled, "filled")

    async def _fill_again(self, holes: list[Hole]) -> None:
        """Fetch once more when late trades have corrected the last bars."""
        await asyncio.sleep(self._clock.wall_s(self._settings.refill_again_s))
        await self._fill(holes)

    async def _set_clock(self) -> None:
        while True:
            try:
                await self._clock.set()
            except FeedUnavailable as error:
                log.warning("clock.unset", extra={"feed": self.name, "error": str(error)})
            else:
                return
            await asyncio.sleep(CLOCK_RETRY_S)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            silent = self._wanted.silent()
            if silent:
                await self._stream.drop(silent)
                await self._forget(silent)
                counters.SYMBOLS.labels(self.name).set(len(self._wanted.since_ns))

    async def _forget(self, symbols: list[str]) -> None:
        for symbol in symbols:
            self._live_since_ns.pop(symbol, None)
        await self._wanted.discard(symbols)

    def _now_ns(self) -> int:
        return self._clock.at(time.time_ns())

    async def _tell(self, state: FeedState, detail: str) -> None:
        event = FeedEvent(self.name, state, time.time_ns(), detail)
        await self._bus.send(subjects.event("feed"), event)

    async def _report(self, filled: Filled, state: GapState) -> None:
        hole = filled.hole
        event = GapEvent(self.name, hole.symbols, hole.start_ns, hole.end_ns, state, filled.rows)
        await self._bus.send(subjects.event("gap"), event)


async def _shielded(work: asyncio.Future[list[None]]) -> None:
    """Share the failure of work that outlives the sharer's cancellation."""
    await asyncio.shield(work)
