"""FeedSubscriptions: subscribe to symbols with ingest and user feeds, and renew it."""

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping

from lean_lite.bus import Bus, request_reply
from lean_lite.bus.connection import TRANSIENT_ERRORS
from lean_lite.bus.retry import retry
from lean_lite.errors import BusError, BusUnavailable, DecodeError, RequestError
from lean_lite.feeds.routing import INGEST, group_by_feed
from lean_lite.protocol import subjects
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.live import LiveBar

# At a stop: a feed that does not answer forgets a silent client by itself.
RELEASE_TIMEOUT_S = 1.0
# What a request to a feed or to the store raises if there is no usable reply.
REQUEST_ERRORS = (BusError, RequestError, DecodeError, *TRANSIENT_ERRORS)

log = logging.getLogger(__name__)


class FeedSubscriptions:
    """
    Subscription of one client to symbols of several feeds.

    Args:
        bus: connection to the feeds.
        symbols: all symbols.
        feeds: name of the user's feed that serves a symbol; ingest serves the others.

    Attributes:
        accepted: symbols that are served, as of the last replies.
        refused: the others, and why.
    """

    def __init__(self, bus: Bus, symbols: tuple[str, ...], feeds: Mapping[str, str]) -> None:
        self._bus = bus
        self._symbols = symbols
        self._feeds = feeds
        # By symbol, the feed whose bars are delivered.
        self._sources = dict(feeds)
        self._client = secrets.token_hex(8)
        self._replies: dict[str, SubscribeReply] = {}
        self.accepted: tuple[str, ...] = ()
        self.refused: dict[str, str] = {}

    async def renew(self, *, retry_s: float = 0.0) -> None:
        """
        Subscribe to every feed's symbols, all feeds at the same time.

        Args:
            retry_s: how long a user's feed that does not answer is tried again, in seconds: its
                lease may still be held by a process that has just ended.

        Raises:
            BusUnavailable: a feed does not answer. The replies of the others count.
        """
        outcomes = await asyncio.gather(
            *(
                self._renew_feed(feed, symbols, 0.0 if feed == INGEST else retry_s)
                for feed, symbols in self.by_feed(self._symbols).items()
            ),
            return_exceptions=True,
        )
        replies = self._replies.values()
        # The account may serve a symbol from another feed after a while. A user's feed was chosen
        # by name and stays.
        for reply in replies:
            self._sources |= reply.feeds
        self._sources |= self._feeds
        accepted = {symbol for reply in replies for symbol in reply.accepted}
        self.accepted = tuple(symbol for symbol in self._symbols if symbol in accepted)
        self.refused = {symbol: why for reply in replies for symbol, why in reply.refused.items()}
        for failure in outcomes:
            if failure is not None:
                raise failure

    async def release(self) -> None:
        """Unsubscribe from user feeds; ingest keeps its symbols for `ingest.interest_ttl_s`."""
        accepted, self.accepted = self.accepted, ()
        await asyncio.gather(*(self._release_feed(feed) for feed in self.by_feed(accepted)))

    def by_feed(self, symbols: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Group symbols by the user's feed that serves them; those of ingest under `INGEST`."""
        return group_by_feed(symbols, self._feeds)

    def by_source(self, symbols: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Group symbols by the feed whose bars are delivered; unconfirmed ones under `INGEST`."""
        return group_by_feed(symbols, self._sources)

    def source(self, symbol: str) -> str:
        """Return the feed whose bars of a symbol are delivered; empty until one has confirmed."""
        return self._sources.get(symbol, INGEST)

    def from_subscribed_feed(self, records: list[LiveBar]) -> list[LiveBar]:
        """Return the records that come from the feed that their symbol is subscribed from."""
        sources = self._sources
        return [
            record for record in records if sources.get(record.symbol, record.feed) == record.feed
        ]

    async def _renew_feed(self, feed: str, symbols: tuple[str, ...], retry_s: float) -> None:
        self._replies[feed] = await self._request(feed, symbols, retry_s)

    async def _release_feed(self, feed: str) -> None:
        if feed == INGEST:
            return
        try:
            await self._request(feed, (), timeout_s=RELEASE_TIMEOUT_S)
        except REQUEST_ERRORS as error:
            log.info("could not unsubscribe from the feed %s: %s", feed, error)

    async def _request(
        self,
        feed: str,
        symbols: tuple[str, ...],
        retry_s: float = 0.0,
        *,
        timeout_s: float | None = None,
    ) -> SubscribeReply:
        subject = subjects.SUBSCRIBE if feed == INGEST else subjects.feed_control(feed)
        request = SubscribeRequest(self._client, symbols)
        return await retry(
            lambda: request_reply(self._bus, subject, request, SubscribeReply, timeout_s=timeout_s),
            (BusUnavailable,),
            limit_s=retry_s,
        )
