"""Tell the feeds which symbols a reader wants, again and again."""

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

LEAVE_S = 1.0
# What keeps an answer from the one who asks.
NO_ANSWER = (BusError, RequestError, DecodeError, *TRANSIENT_ERRORS)

log = logging.getLogger(__name__)


class FeedSubscriptions:
    """
    Want symbols of ingest, and of the feeds of users that `feeds` names for some of them.

    `accepted` and `refused` hold what the feeds said last, and `wanted` goes by the feed that they
    named then for each symbol.
    """

    def __init__(self, bus: Bus, symbols: tuple[str, ...], feeds: Mapping[str, str]) -> None:
        """Tell nobody before `tell`."""
        self._bus = bus
        self._symbols = symbols
        self._feeds = feeds
        self._sources = dict(feeds)
        self._client = secrets.token_hex(8)
        self._replies: dict[str, SubscribeReply] = {}
        self.accepted: tuple[str, ...] = ()
        self.refused: dict[str, str] = {}

    async def renew(self, *, retry_s: float = 0.0) -> None:
        """
        Ask every feed for its symbols; BusUnavailable when one does not answer, after all others.

        A user's feed is waited for: its lease may still be a process' that has just ended.
        """
        told = await asyncio.gather(
            *(
                self._renew_feed(feed, symbols, 0.0 if feed == INGEST else retry_s)
                for feed, symbols in self.by_feed(self._symbols).items()
            ),
            return_exceptions=True,
        )
        replies = self._replies.values()
        # A user's feed stays the one that was asked for; that of the account may change.
        for reply in replies:
            self._sources |= reply.feeds
        self._sources |= self._feeds
        accepted = {symbol for reply in replies for symbol in reply.accepted}
        self.accepted = tuple(symbol for symbol in self._symbols if symbol in accepted)
        self.refused = {symbol: why for reply in replies for symbol, why in reply.refused.items()}
        for failure in told:
            if failure is not None:
                raise failure

    async def release(self) -> None:
        """Let users' feeds unsubscribe at once; ingest keeps symbols for a while on purpose."""
        accepted, self.accepted = self.accepted, ()
        await asyncio.gather(*(self._release_feed(feed) for feed in self.by_feed(accepted)))

    def by_feed(self, symbols: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return symbols by the user's feed that serves them; those of ingest have none."""
        return group_by_feed(symbols, self._feeds)

    def by_source(self, symbols: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return symbols by the feed whose bars are wanted; of those that none named yet, none."""
        return group_by_feed(symbols, self._sources)

    def source(self, symbol: str) -> str:
        """Return the feed whose bars are wanted of a symbol; nothing when none was named yet."""
        return self._sources.get(symbol, INGEST)

    def from_subscribed_feed(self, bars: list[LiveBar]) -> list[LiveBar]:
        """Return the bars that come from the feed that their symbol is wanted of."""
        sources = self._sources
        return [bar for bar in bars if sources.get(bar.symbol, bar.feed) == bar.feed]

    async def _renew_feed(self, feed: str, symbols: tuple[str, ...], retry_s: float) -> None:
        self._replies[feed] = await self._request(feed, symbols, retry_s)

    async def _release_feed(self, feed: str) -> None:
        if feed == INGEST:
            return
        try:
            await self._request(feed, (), timeout_s=LEAVE_S)
        except NO_ANSWER as error:
            log.info("demand.not_ended", extra={"feed": feed, "error": str(error)})

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
