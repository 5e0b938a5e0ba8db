"""Deliver every graded bar of some symbols, each once and in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Self

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from lean_lite.bus import Bus
from lean_lite.bus.retry import retry_unavailable
from lean_lite.data.history.client import fetch
from lean_lite.data.live.feed_subscriptions import NO_ANSWER, FeedSubscriptions
from lean_lite.data.live.queue import BOUND, BarQueue
from lean_lite.data.live.sequencer import Sequencer
from lean_lite.data.live.watermarks import OnWatermark, WatermarkHub
from lean_lite.errors import Busy, StackError
from lean_lite.feeds.routing import NO_FEEDS
from lean_lite.protocol import subjects
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.live import LiveBar, Watermark, live_bars
from lean_lite.protocol.partitions import Lane, group_by_lane, lane_of

RENEW_S = 5.0
GRACE_S = 0.25
RETRY_S = 0.25
PENDING_MESSAGES = 262_144

_ENDED = "the stream was stopped: ask the engine for another one"

OnRefused = Callable[[str, str], None]

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(LiveBar).decode


def _heard(_symbol: str, _why: str) -> None:
    """Leave it at the log."""


class Live:
    """
    Follow symbols live.

    An async context manager and an async iterator of `LiveBar`. A reader slower than the market
    is held in a bounded queue; beyond it the rest waits in the store and is fetched when there is
    room again. `delivered`, `refetched` and `behind` count what happened.
    """

    def __init__(
        self,
        bus: Bus,
        symbols: Iterable[str],
        *,
        after: Mapping[str, int] | None = None,
        queue: int = BOUND,
        feeds: Mapping[str, str] = NO_FEEDS,
        watermarks: WatermarkHub | None = None,
        on_refused: OnRefused = _heard,
    ) -> None:
        """
        Ask for nothing before `start`.

        `after` maps lanes to the GRADED sequence to go on behind, so that a reader resumes where
        it stopped; an empty map begins with the first stored bar. Without it only new bars come.
        `feeds` maps symbols to the feed of a user's that serves them; ingest serves the others.
        Streams of one connection may share `heads`. `on_refused` is called with a symbol that was
        accepted and is refused from now on, and why.
        """
        self._bus = bus
        self.symbols = tuple(dict.fromkeys(symbols))
        self._own = self._queue = BarQueue(queue)
        self._after = after
        self._demand = FeedSubscriptions(bus, self.symbols, feeds)
        self._lanes = {
            lane: Sequencer(own, 0) for lane, own in group_by_lane(self.symbols, str).items()
        }
        self._heads = watermarks or WatermarkHub(bus)
        self._on_head = {lane: self._on_watermark_of(lane) for lane in self._lanes}
        self._on_refused = on_refused
        self._begun = False
        self._asking: dict[Lane, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        # The GRADED sequence of each lane that it began behind.
        self.baseline: dict[str, int] = {}
        self._stopped = False
        self.delivered = 0
        self.refetched = 0

    @property
    def accepted(self) -> tuple[str, ...]:
        """Return the symbols that are served."""
        return self._demand.accepted

    @property
    def refused(self) -> dict[str, str]:
        """Return the other symbols, and why they are not."""
        return self._demand.refused

    @property
    def done(self) -> dict[str, int]:
        """Return the last GRADED sequence of each lane that has been queued whole."""
        return {str(lane): sequel.done_seq for lane, sequel in self._lanes.items()}

    @property
    def behind(self) -> int:
        """Return how many bars wait for the reader."""
        return len(self._queue)

    @property
    def stopped(self) -> bool:
        """Say whether nobody wants its bars any more."""
        return self._stopped

    def source(self, symbol: str) -> str:
        """Return the feed whose bars come of a symbol; nothing when none was named yet."""
        return self._demand.source(symbol)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def __aiter__(self) -> AsyncIterator[LiveBar]:
        """Yield bars until stopped."""
        return self

    async def __anext__(self) -> LiveBar:
        """Return the next bar; the end comes with `stop`."""
        (bar,) = await self._own.get(1)
        return bar

    async def start(self) -> None:
        """
        Subscribe, and take everything from now on.

        BusUnavailable when the store or a feed does not answer; StackError when it is stopped
        meanwhile. `accepted` and `refused` say what the feeds think of the symbols.
        """
        await self._subscribe()
        await self._bus.flush()
        after = self._after
        if after is None:
            after = await retry_unavailable(self._stream_ends)
        self.baseline = {str(lane): after.get(str(lane), 0) for lane in self._lanes}
        for lane, sequel in self._lanes.items():
            sequel.apply_snapshot((), self.baseline[str(lane)])
        # What comes meanwhile is delivered when it is known whose bars are wanted.
        await self._demand.renew(retry_s=self._bus.config.request_timeout_s)
        await self._check_not_stopped()
        self._begun = True
        self._queue.attach(self._advance_all)
        self._advance_all()
        self._tasks.append(asyncio.create_task(self._renew()))

    async def _stream_ends(self) -> dict[str, int]:
        if self._stopped:
            raise StackError(_ENDED)
        return (await fetch(self._bus, HistoryRequest())).through

    def redirect(self, queue: BarQueue) -> None:
        """
        Put bars into a queue that others use, too; those that wait here come first.

        StackError when it is not at work.
        """
        if not self._begun:
            raise StackError(_ENDED)
        left = self._queue.detach(self._advance_all, self.symbols)
        self._queue = queue
        queue.attach(self._advance_all)
        queue.put(left)

    async def stop(self) -> None:
        """Leave; what has not been read is dropped. Does nothing when that is done."""
        if not self._stopped:
            self._stopped = True
            self._end(None)
        await self._unsubscribe()

    def fail(self, error: Exception) -> None:
        """Let the reader have what waits, and then an error; `stop` is still to be called."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._begun:
            self._begun = False
            self._queue.detach(self._advance_all, self.symbols)
        for task in (*self._tasks, *self._asking.values()):
            task.cancel()
        self._own.close(error)

    async def _unsubscribe(self) -> None:
        if tasks := [*self._tasks, *self._asking.values()]:
            await asyncio.wait(tasks)
        while self._subscriptions:
            await self._bus.unsubscribe(self._subscriptions.pop())
        for lane, on_head in self._on_head.items():
            await self._heads.unsubscribe(lane, on_head)
        await self._demand.release()

    async def _check_not_stopped(self) -> None:
        """Raise StackError when somebody has stopped the stream while it was starting."""
        if self._stopped:
            await self._unsubscribe()
            raise StackError(_ENDED)

    async def _subscribe(self) -> None:
        for symbol in self.symbols:
            on_record = self._on_record_of(lane_of(symbol))
            self._subscriptions.append(
                await self._bus.subscribe(
                    subjects.live_bar(symbol), on_record, pending=PENDING_MESSAGES
                )
            )
        for lane, on_head in self._on_head.items():
            await self._heads.subscribe(lane, on_head)

    def _on_record_of(self, lane: Lane) -> Callable[[Msg], Awaitable[None]]:
        sequel = self._lanes[lane]

        async def on_record(message: Msg) -> None:
            try:
                record = _decode(message.data)
            except msgspec.MsgspecError as error:
                # It is missed at the next head, and asked of the store.
                extra = {"subject": message.subject, "error": str(error)}
                log.warning("live.unreadable", extra=extra)
                return
            sequel.on_record(record)
            if sequel.has_pending:
                self._advance(lane)

        return on_record

    def _on_watermark_of(self, lane: Lane) -> OnWatermark:
        sequel = self._lanes[lane]

        def on_head(head: Watermark) -> None:
            sequel.on_watermark(head)
            self._advance(lane)

        return on_head

    def _advance_all(self) -> None:
        for lane in self._lanes:
            self._advance(lane)

    def _advance(self, lane: Lane) -> None:
        if not self._begun:
            return
        sequel = self._lanes[lane]
        if due := sequel.take(self._queue.room):
            self._deliver(due)
        if sequel.missing_seq is not None and lane not in self._asking:
            self._asking[lane] = asyncio.create_task(self._refetch(lane))

    def _deliver(self, bars: list[LiveBar]) -> None:
        wanted = self._demand.from_subscribed_feed(bars)
        self.delivered += len(wanted)
        self._queue.put(wanted)

    async def _refetch(self, lane: Lane) -> None:
        """Ask the store for what is still missing when stragglers have had their time."""
        sequel = self._lanes[lane]
        awaited_seq = None
        try:
            while (missing_seq := sequel.missing_seq) is not None:
                if self._queue.room <= 0:
                    await asyncio.sleep(RETRY_S)
                    continue
                if missing_seq != awaited_seq:
                    awaited_seq = missing_seq
                    await asyncio.sleep(GRACE_S)
                    continue
                try:
                    await self._fetch_missing(lane, sequel, missing_seq)
                except NO_ANSWER as error:
                    log.info("live.refetch_failed", extra={"lane": str(lane), "error": str(error)})
                    await asyncio.sleep(RETRY_S)
                # What came meanwhile may be whole now.
                self._deliver(sequel.take(self._queue.room))
        finally:
            # Whatever it is that ended this, the next head begins it anew.
            del self._asking[lane]

    async def _fetch_missing(self, lane: Lane, sequel: Sequencer, missing_seq: int) -> None:
        name = str(lane)
        snapshots = [
            await fetch(
                self._bus,
                HistoryRequest(
                    symbols=symbols,
                    feed=feed,
                    min_seq={name: missing_seq},
                    after={name: sequel.done_seq},
                ),
            )
            for feed, symbols in self._demand.by_source(sorted(sequel.symbols)).items()
        ]
        # A later snapshot may be ahead of the first: its surplus comes with the next frames.
        through_seq = min(snapshot.through.get(name, 0) for snapshot in snapshots)
        if through_seq < missing_seq:
            raise Busy(f"the store has come to {through_seq} of {missing_seq}")
        records = [
            bar
            for snapshot in snapshots
            for block in snapshot.blocks
            for bar in live_bars(block, late=True)
            if bar.seq <= through_seq
        ]
        due = sequel.apply_snapshot(records, through_seq)
        self.refetched += len(due)
        self._deliver(due)

    async def _renew(self) -> None:
        refused = set(self.refused)
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._demand.renew()
            except NO_ANSWER as error:
                log.info("live.renew_failed", extra={"error": str(error)})
            for symbol in self.refused.keys() - refused:
                why = self.refused[symbol]
                log.warning("no more bars of %s: it is refused from now on: %s", symbol, why)
                self._on_refused(symbol, why)
            for symbol in refused - self.refused.keys():
                log.info("%s is accepted again", symbol)
            refused = set(self.refused)
