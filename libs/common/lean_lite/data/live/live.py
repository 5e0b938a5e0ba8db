"""Live: start, stop and deliver the live records of some symbols."""

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
from lean_lite.data.live.feed_subscriptions import REQUEST_ERRORS, FeedSubscriptions
from lean_lite.data.live.queue import BOUND, BarQueue
from lean_lite.data.live.recovery import Recovery
from lean_lite.data.live.sequencer import Sequencer
from lean_lite.data.live.watermarks import PENDING_MESSAGES, OnWatermark, WatermarkHub
from lean_lite.errors import StackError
from lean_lite.feeds.routing import NO_FEEDS
from lean_lite.protocol import subjects
from lean_lite.protocol.history import HistoryRequest
from lean_lite.protocol.live import LiveBar, Watermark
from lean_lite.protocol.partitions import Lane, group_by_lane, lane_of

# A user's feed forgets a client that is silent for 15 s: two renewals in a row may fail.
RENEW_S = 5.0

_STOPPED = "the stream was stopped: open another one with `engine.live`"

OnRefused = Callable[[str, str], None]

log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(LiveBar).decode


def _ignore(_symbol: str, _why: str) -> None:
    """Do nothing; a refusal is logged in any case."""


class Live:
    """
    Stream of every graded record of some symbols: each once, none missing, in order.

    An async iterator of `LiveBar` and an async context manager; `async with` starts and stops it.
    Records of a symbol are delivered in the order of their frames on the bus, without INVALID bars.
    What the bus loses is fetched from the store. Records wait for a slow reader in a bounded queue;
    further ones stay in the store and are fetched once half of the queue is free.

    Waiting for a record may be cancelled: none is lost. When the stream is stopped, iteration
    ends; when the stack is lost, iteration raises `StackError` after the waiting records.

    Args:
        bus: an open connection.
        symbols: the symbols.
        after: GRADED sequence by lane after which the stream resumes; an empty mapping starts
            with the first stored record. By default only new records are delivered.
        queue: number of records that may wait for the reader; the last frame may exceed it.
        feeds: name of the user's feed that serves a symbol; ingest serves the others.
        watermarks: shared by the streams of one connection; by default the stream has its own.
        on_refused: called with a symbol and the reason when a feed refuses a symbol that it had
            accepted.

    Attributes:
        symbols: the symbols without duplicates.
        baseline: GRADED sequence by lane after which the stream has started.
        delivered: number of records put into the queue.
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
        on_refused: OnRefused = _ignore,
    ) -> None:
        self._bus = bus
        self.symbols = tuple(dict.fromkeys(symbols))
        self._own_queue = self._queue = BarQueue(queue)
        self._after = after
        self._feed_subscriptions = FeedSubscriptions(bus, self.symbols, feeds)
        self._sequencers = {
            lane: Sequencer(own, 0) for lane, own in group_by_lane(self.symbols, str).items()
        }
        self._recovery = Recovery(
            bus, self._feed_subscriptions, lambda: self._queue.room, self._deliver
        )
        self._watermarks = watermarks or WatermarkHub(bus)
        self._on_watermark = {lane: self._on_watermark_of(lane) for lane in self._sequencers}
        self._on_refused = on_refused
        self._renewal: asyncio.Task[None] | None = None
        self._subscriptions: list[Subscription] = []
        self._delivering = False
        self._stopped = False
        self.baseline: dict[str, int] = {}
        self.delivered = 0

    @property
    def accepted(self) -> tuple[str, ...]:
        """Symbols that are served."""
        return self._feed_subscriptions.accepted

    @property
    def refused(self) -> dict[str, str]:
        """Symbols that are not served, and why."""
        return self._feed_subscriptions.refused

    @property
    def done(self) -> dict[str, int]:
        """Last GRADED sequence by lane whose frame has been queued completely."""
        return {str(lane): one.done_seq for lane, one in self._sequencers.items()}

    @property
    def refetched(self) -> int:
        """Number of records that were fetched from the store."""
        return self._recovery.refetched

    @property
    def behind(self) -> int:
        """Number of records that wait for the reader."""
        return len(self._queue)

    @property
    def stopped(self) -> bool:
        """Whether the stream was stopped."""
        return self._stopped

    def source(self, symbol: str) -> str:
        """Return the feed whose bars of a symbol are delivered; empty until one has confirmed."""
        return self._feed_subscriptions.source(symbol)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def __aiter__(self) -> AsyncIterator[LiveBar]:
        """Iterate over the records until the stream is stopped."""
        return self

    async def __anext__(self) -> LiveBar:
        """Return the next record; StopAsyncIteration when the stream is stopped."""
        (record,) = await self._own_queue.get(1)
        return record

    async def start(self) -> None:
        """
        Subscribe, and deliver every record from now on; does nothing if it is started.

        `accepted` and `refused` then have the replies of the feeds. After an error, call `stop`
        as well.

        Raises:
            BusUnavailable: the store or a feed does not answer.
            StackError: the stream was stopped during the start.
        """
        # `engine.live` returns a started stream, which `async with` would start again.
        if self._delivering:
            return
        # Subscribe first, then learn where the lanes end: a record published in between arrives
        # with a sequence above `baseline`, so none is missing.
        await self._subscribe()
        await self._bus.flush()
        after = self._after
        if after is None:
            after = await retry_unavailable(self._stream_ends)
        self.baseline = {str(lane): after.get(str(lane), 0) for lane in self._sequencers}
        for lane, sequencer in self._sequencers.items():
            sequencer.apply_snapshot((), self.baseline[str(lane)])
        # Records wait until the feeds have replied, because the replies name the feed to deliver.
        await self._feed_subscriptions.renew(retry_s=self._bus.config.request_timeout_s)
        await self._check_not_stopped()
        self._delivering = True
        self._queue.attach(self._advance_all)
        self._advance_all()
        self._renewal = asyncio.create_task(self._renew())

    async def _stream_ends(self) -> dict[str, int]:
        """Return the last GRADED sequence of every lane."""
        if self._stopped:
            raise StackError(_STOPPED)
        return (await fetch(self._bus, HistoryRequest())).through

    def redirect(self, queue: BarQueue) -> None:
        """
        Deliver into a queue that several streams share; waiting records are moved there.

        Args:
            queue: the shared queue. Iterating over this stream then yields nothing.

        Raises:
            StackError: the stream is not started, or has ended.
        """
        if not self._delivering:
            raise StackError(_STOPPED)
        left = self._queue.detach(self._advance_all, self.symbols)
        self._queue = queue
        queue.attach(self._advance_all)
        queue.put(left)

    async def stop(self) -> None:
        """Unsubscribe and end iteration; waiting records are dropped. May be called again."""
        if not self._stopped:
            self._stopped = True
            self._end(None)
        await self._unsubscribe()

    def fail(self, error: Exception) -> None:
        """
        End iteration with an error, after the waiting records; call `stop` as well.

        Args:
            error: raised once; then iteration ends.
        """
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        """Stop delivering; without an error drop waiting records, else let them be read first."""
        if self._delivering:
            self._delivering = False
            waiting = self._queue.detach(self._advance_all, self.symbols)
            if error is not None:
                self._queue.put(waiting)
        if self._renewal is not None:
            self._renewal.cancel()
        self._recovery.cancel()
        self._own_queue.close(error)

    async def _unsubscribe(self) -> None:
        if self._renewal is not None:
            await asyncio.wait([self._renewal])
        await self._recovery.stop()
        while self._subscriptions:
            await self._bus.unsubscribe(self._subscriptions.pop())
        for lane, on_watermark in self._on_watermark.items():
            await self._watermarks.unsubscribe(lane, on_watermark)
        await self._feed_subscriptions.release()

    async def _check_not_stopped(self) -> None:
        """Raise StackError if the stream was stopped during its start."""
        if self._stopped:
            await self._unsubscribe()
            raise StackError(_STOPPED)

    async def _subscribe(self) -> None:
        for symbol in self.symbols:
            on_record = self._on_record_of(lane_of(symbol))
            self._subscriptions.append(
                await self._bus.subscribe(
                    subjects.live_bar(symbol), on_record, pending=PENDING_MESSAGES
                )
            )
        for lane, on_watermark in self._on_watermark.items():
            await self._watermarks.subscribe(lane, on_watermark)

    def _on_record_of(self, lane: Lane) -> Callable[[Msg], Awaitable[None]]:
        sequencer = self._sequencers[lane]

        async def on_record(message: Msg) -> None:
            try:
                record = _decode(message.data)
            except msgspec.MsgspecError as error:
                # The watermark of its frame shows that it is missing; then the store is read.
                log.warning("unreadable live record on %s: %s", message.subject, error)
                return
            sequencer.on_record(record)
            if sequencer.has_pending:
                self._advance(lane)

        return on_record

    def _on_watermark_of(self, lane: Lane) -> OnWatermark:
        sequencer = self._sequencers[lane]

        def on_watermark(watermark: Watermark) -> None:
            sequencer.on_watermark(watermark)
            self._advance(lane)

        return on_watermark

    def _advance_all(self) -> None:
        for lane in self._sequencers:
            self._advance(lane)

    def _advance(self, lane: Lane) -> None:
        """Deliver the frames of a lane that are due, and recover missing ones."""
        if not self._delivering:
            return
        sequencer = self._sequencers[lane]
        if due := sequencer.pop_due(self._queue.room):
            self._deliver(due)
        if sequencer.missing_seq is not None:
            self._recovery.start(lane, sequencer)

    def _deliver(self, records: list[LiveBar]) -> None:
        own = self._feed_subscriptions.from_subscribed_feed(records)
        self.delivered += len(own)
        self._queue.put(own)

    async def _renew(self) -> None:
        refused = set(self.refused)
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._feed_subscriptions.renew()
            except REQUEST_ERRORS as error:
                log.info("the subscription could not be renewed: %s", error)
            for symbol in self.refused.keys() - refused:
                why = self.refused[symbol]
                log.warning("no more bars of %s: it is refused from now on: %s", symbol, why)
                self._on_refused(symbol, why)
            for symbol in refused - self.refused.keys():
                log.info("%s is accepted again", symbol)
            refused = set(self.refused)
