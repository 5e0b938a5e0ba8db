"""Interfaces between a feed and the process that runs it."""

from typing import Protocol

import msgspec

from lean_lite.model import TradeBar


class ConnectionStatus(msgspec.Struct, frozen=True):
    """Whether a feed delivers bars, and details in words."""

    connected: bool
    detail: str = ""


class FeedHost(Protocol):
    """What a running feed can call: the publisher of its bars."""

    async def publish(self, bar: TradeBar) -> None:
        """Queue a bar for the bus."""

    def status(self) -> ConnectionStatus:
        """Return whether bars are published, or why not."""

    def connection_lost(self, why: str) -> None:
        """Reconnect the feed: it has lost its source."""


class RunnableFeed(Protocol):
    """A feed that FeedRunner can run."""

    name: str

    async def connect(self) -> bool:
        """Connect to the source; False when that fails."""

    async def disconnect(self) -> None:
        """Disconnect from the source."""

    async def subscribe(self, symbol: str) -> bool:
        """Start publishing bars of a symbol; False when the source does not have it."""

    async def unsubscribe(self, symbol: str) -> bool:
        """Stop publishing bars of a symbol."""

    def attach(self, host: FeedHost | None) -> None:
        """Publish to a host from now on; None detaches the feed."""
