"""The feeds of a running engine, at work."""

import asyncio
import logging
from contextlib import AsyncExitStack

from lean_lite.bus import Bus, connect
from lean_lite.data.alpaca_feed import AlpacaDataFeed, Host
from lean_lite.data.attachment import Attachment
from lean_lite.data.feed import DataFeed
from lean_lite.feeds import FeedRunner

ROLE = "feed"

log = logging.getLogger(__name__)


class Crew:
    """
    Start feeds, one after the other, and end them with the engine.

    Users' feeds share a connection of their own, with the role `feed`, made for the first of them.
    """

    def __init__(self, host: Host, bus: Bus, attachment: Attachment) -> None:
        """Start nothing before `add`."""
        self._host = host
        self._bus = bus
        self._attachment = attachment
        self._feed_bus: Bus | None = None
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._resources = AsyncExitStack()

    def add(self, feed: DataFeed) -> None:
        """Start a feed in the background; that it failed is logged, and told by `ready`."""
        self._begin(feed).add_done_callback(_tell)

    async def ready(self, feed: DataFeed) -> None:
        """Return when a feed is at work, and try again if it failed; raises what keeps it off."""
        known = self._starts.get(feed.name)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            self._begin(feed)
        await asyncio.shield(self._starts[feed.name])

    async def stop(self) -> None:
        """End all feeds."""
        for start in self._starts.values():
            start.cancel()
        await asyncio.gather(*self._starts.values(), return_exceptions=True)
        await self._resources.aclose()

    def _begin(self, feed: DataFeed) -> asyncio.Task[None]:
        start = asyncio.create_task(self._start(feed), name=f"start {feed.name}")
        self._starts[feed.name] = start
        return start

    async def _start(self, feed: DataFeed) -> None:
        async with self._turn:
            if isinstance(feed, AlpacaDataFeed):
                await feed.serve(self._host, self._bus, self._attachment.facts)
                self._resources.push_async_callback(feed.disconnect)
            else:
                await self._run(feed)

    async def _run(self, feed: DataFeed) -> None:
        if self._feed_bus is None:
            bus = await connect(self._attachment.feed_bus(), ROLE, name="strategy's feeds")
            self._resources.push_async_callback(bus.close)
            self._feed_bus = bus
        runner = FeedRunner(feed, self._feed_bus)
        try:
            await runner.start()
        except BaseException:
            await runner.stop()
            raise
        self._resources.push_async_callback(runner.stop)


def _tell(start: asyncio.Task[None]) -> None:
    if not start.cancelled() and (error := start.exception()) is not None:
        log.error("could not %s: %s", start.get_name(), error)
