"""The feeds of a running engine, at work."""

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
# More than the limits of one feed add up to: those of its methods, of its queue and of the bus.
ENDING_S = 30.0

Ending = Callable[[], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)


class FeedLifecycle:
    """
    Start feeds, and end them with the engine.

    Users' feeds share a connection of their own, with the role `feed`, made for the first of them.
    """

    def __init__(self, host: Host, bus: Bus, attachment: StackConnection) -> None:
        """Start nothing before `add`."""
        self._host = host
        self._bus = bus
        self._attachment = attachment
        self._feed_bus: Bus | None = None
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._endings: list[Ending] = []

    def add(self, feed: DataFeed) -> None:
        """
        Start a feed in the background; that it failed is logged, and told by `ready`.

        One that starts already, or is at work, is left alone.
        """
        if self._is_due(feed):
            self._begin_start(feed).add_done_callback(_tell)

    async def ensure_started(self, feed: DataFeed) -> None:
        """Return when a feed is at work, and try again if it failed; raises what keeps it off."""
        if self._is_due(feed):
            self._begin_start(feed)
        await asyncio.shield(self._starts[feed.name])

    async def stop(self) -> None:
        """End all feeds."""
        for start in self._starts.values():
            start.cancel()
        await asyncio.gather(*self._starts.values(), return_exceptions=True)
        await stop_all((end() for end in self._endings), ENDING_S)
        if self._feed_bus is not None:
            await self._feed_bus.close()

    def _is_due(self, feed: DataFeed) -> bool:
        """Say whether a feed was never started, or in vain."""
        known = self._starts.get(feed.name)
        if known is None:
            return True
        return known.done() and (known.cancelled() or known.exception() is not None)

    def _begin_start(self, feed: DataFeed) -> asyncio.Task[None]:
        start = asyncio.create_task(self._start(feed), name=f"start {feed.name}")
        self._starts[feed.name] = start
        return start

    async def _start(self, feed: DataFeed) -> None:
        if feed.served_by_ingest:
            handle = cast("AlpacaDataFeed", feed)
            await handle.serve(self._host, self._bus, self._attachment.facts)
            self._endings.append(feed.disconnect)
        else:
            await self._run(feed)

    async def _run(self, feed: DataFeed) -> None:
        async with self._turn:
            if self._feed_bus is None:
                settings = self._attachment.feed_bus()
                self._feed_bus = await connect(settings, ROLE, name="strategy's feeds")
        runner = FeedRunner(feed, self._feed_bus)
        try:
            await runner.start()
        except BaseException:
            await runner.stop()
            raise
        self._endings.append(runner.stop)


def _tell(start: asyncio.Task[None]) -> None:
    if not start.cancelled() and (error := start.exception()) is not None:
        log.error("could not %s: %s", start.get_name(), error)
