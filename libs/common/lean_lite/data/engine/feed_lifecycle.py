"""FeedLifecycle: start and stop feeds with their engine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, cast

from lean_lite.bus import Bus, connect
from lean_lite.data.alpaca_feed import AlpacaDataFeed, Host
from lean_lite.data.engine.connection import StackConnection
from lean_lite.data.feed import DataFeed
from lean_lite.feeds import FeedRunner
from lean_lite.tasks import stop_all

ROLE = "feed"
# Longer than the sum of one feed's timeouts: those of its methods, its queue and the bus.
STOP_S = 30.0

Stop = Callable[[], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)


class FeedLifecycle:
    """
    Feeds of a running engine, each started by a task of its own.

    User feeds share one connection with the role `feed`, opened for the first of them.

    Args:
        host: the engine; handles of the account call its methods.
        bus: connection of the engine.
        connection: settings of the bus for user feeds.
    """

    def __init__(self, host: Host, bus: Bus, connection: StackConnection) -> None:
        self._host = host
        self._bus = bus
        self._connection = connection
        self._feed_bus: Bus | None = None
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()
        self._stops: list[Stop] = []

    def add(self, feed: DataFeed) -> None:
        """
        Start a feed in the background; does nothing if it is started or starting.

        An error is logged, and raised by `ensure_started` unless a new attempt succeeds.
        """
        if self._is_due(feed):
            self._create_start(feed).add_done_callback(_log_error)

    async def ensure_started(self, feed: DataFeed) -> None:
        """Wait until a feed is started; one that has failed is started again. Raises its error."""
        if self._is_due(feed):
            self._create_start(feed)
        # Others may wait for the same start: a caller that is cancelled does not end it.
        await asyncio.shield(self._starts[feed.name])

    async def stop(self) -> None:
        """Stop all feeds at the same time, then close their connection."""
        for start in self._starts.values():
            start.cancel()
        await asyncio.gather(*self._starts.values(), return_exceptions=True)
        await stop_all((stop() for stop in self._stops), STOP_S)
        if self._feed_bus is not None:
            await self._feed_bus.close()

    def _is_due(self, feed: DataFeed) -> bool:
        """Whether a feed was never started, or its last start has failed."""
        start = self._starts.get(feed.name)
        if start is None:
            return True
        return start.done() and (start.cancelled() or start.exception() is not None)

    def _create_start(self, feed: DataFeed) -> asyncio.Task[None]:
        start = asyncio.create_task(self._start(feed), name=f"start {feed.name}")
        self._starts[feed.name] = start
        return start

    async def _start(self, feed: DataFeed) -> None:
        if feed.served_by_ingest:
            handle = cast("AlpacaDataFeed", feed)
            await handle.serve(self._host, self._bus, self._connection.facts)
            self._stops.append(feed.disconnect)
        else:
            await self._run(feed)

    async def _run(self, feed: DataFeed) -> None:
        async with self._lock:
            if self._feed_bus is None:
                settings = self._connection.feed_bus()
                self._feed_bus = await connect(settings, ROLE, name="strategy's feeds")
        runner = FeedRunner(feed, self._feed_bus)
        try:
            await runner.start()
        except BaseException:
            await runner.stop()
            raise
        self._stops.append(runner.stop)


def _log_error(start: asyncio.Task[None]) -> None:
    if not start.cancelled() and (error := start.exception()) is not None:
        log.error("could not %s: %s", start.get_name(), error)
