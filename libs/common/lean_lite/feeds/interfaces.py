"""What the runner of a feed needs of it, and what a feed has of its runner."""

from typing import Protocol

import msgspec

from lean_lite.model import TradeBar


class ConnectionStatus(msgspec.Struct, frozen=True):
    """Say whether bars can come, and in words how it stands."""

    connected: bool
    detail: str = ""


class FeedHost(Protocol):
    """Be what takes a feed's bars to the bus."""

    async def publish(self, bar: TradeBar) -> None:
        """Queue a bar."""

    def status(self) -> ConnectionStatus:
        """Say how it stands."""

    def connection_lost(self, why: str) -> None:
        """Hear that the source is gone, and connect again."""


class RunnableFeed(Protocol):
    """Be a feed that can be run."""

    name: str

    async def connect(self) -> bool:
        """Reach the source; False when it can't be reached."""

    async def disconnect(self) -> None:
        """Leave the source."""

    async def subscribe(self, symbol: str) -> bool:
        """Begin to publish a symbol's bars; False when the source does not have it."""

    async def unsubscribe(self, symbol: str) -> bool:
        """Stop publishing a symbol's bars."""

    def attach(self, host: FeedHost | None) -> None:
        """Be carried from now on, or no more."""
