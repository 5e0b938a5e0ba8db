"""Alpaca's account, seen from a strategy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from lean_lite.bus import Bus
from lean_lite.bus.heartbeats import HeartbeatMonitor
from lean_lite.config import Config
from lean_lite.data.bars import Bars
from lean_lite.data.feed import DataFeed
from lean_lite.errors import FeedError
from lean_lite.feeds import ConnectionStatus
from lean_lite.model import Resolution
from lean_lite.protocol.heartbeat import Heartbeat
from lean_lite.protocol.subjects import heartbeat
from lean_lite.stack import account_of


class Host(Protocol):
    """Be the engine that a handle works through."""

    async def subscribe_symbol(self, symbol: str, feed_name: str | None = None) -> bool:
        """Send a symbol's live bars to the callbacks."""

    async def unsubscribe_symbol(self, symbol: str) -> bool:
        """Send them no more."""

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Resolution = Resolution.MINUTE,
        *,
        feed_name: str | None = None,
    ) -> Bars:
        """Return the bars of a span."""


class AlpacaDataFeed(DataFeed):
    """
    Be a handle for the account that ingest serves.

    Ingest owns keys and socket, so that any number of processes share one connection: nothing here
    speaks to Alpaca, and keys never cross the bus. Add it to a `DataEngine`, which connects it.
    """

    asset_classes: Sequence[str] = ("equity", "crypto")

    def __init__(self, name: str, config: Config | None = None) -> None:
        """Take a name of letters, digits, `_` and `-`."""
        super().__init__(name, config)
        self._host: Host | None = None
        self._bus: Bus | None = None
        self._heartbeats: HeartbeatMonitor | None = None
        self._ingest: Heartbeat | None = None

    @property
    def served_by_ingest(self) -> bool:
        """True: ingest owns the connection to Alpaca."""
        return True

    async def serve(self, host: Host, bus: Bus, facts: Mapping[str, Any]) -> None:
        """
        Work through an engine on its bus; the engine calls this.

        FeedError when `facts`, what the stack says of itself, name another feed or account.
        """
        self._compare(facts)
        self._host, self._bus = host, bus
        self._heartbeats = HeartbeatMonitor(
            heartbeat("ingest", "*"), on_heartbeat=self._on_heartbeat
        )
        await self._heartbeats.start(bus)

    async def connect(self) -> bool:
        """Return True once an engine has connected the handle; FeedError before."""
        self._served()
        return True

    async def disconnect(self) -> None:
        """Let go of the engine; the account stays connected for others."""
        if self._heartbeats is not None:
            await self._heartbeats.stop()
        self._host = self._bus = self._heartbeats = self._ingest = None

    async def subscribe(self, symbol: str) -> bool:
        """Send a symbol's live bars to the engine's callbacks; RequestError when refused."""
        return await self._served().subscribe_symbol(symbol, feed_name=self.name)

    async def unsubscribe(self, symbol: str) -> bool:
        """Send a symbol's bars to the callbacks no more; False when it was not subscribed."""
        return await self._served().unsubscribe_symbol(symbol)

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Resolution = Resolution.MINUTE,
    ) -> Bars:
        """Return the bars that start from `start_date` until before `end_date`."""
        return await self._served().get_historical_data(
            symbol, start_date, end_date, resolution, feed_name=self.name
        )

    def get_connection_status(self) -> ConnectionStatus:
        """Say whether bars can come: what ingest told within the last second, and the bus."""
        if self._bus is None:
            return ConnectionStatus(connected=False, detail="not started")
        if not self._bus.connected:
            return ConnectionStatus(connected=False, detail="the bus is away")
        if self._ingest is None:
            return ConnectionStatus(connected=False, detail="ingest has not been heard yet")
        failing = "; ".join(self._ingest.failing)
        return ConnectionStatus(not failing, failing or f"served by {self._ingest.instance}")

    def _on_heartbeat(self, told: Heartbeat) -> None:
        # Of several, the one that stands by is failing: the one at work speaks for the account.
        if self._ingest is None or told.ready or told.instance == self._ingest.instance:
            self._ingest = told

    def _served(self) -> Host:
        if self._host is None:
            message = (
                f"the feed {self.name} is a handle and works through an engine: "
                f"add it with `engine.add_feed` and call `await engine.start()`"
            )
            raise FeedError(message)
        return self._host

    def _compare(self, facts: Mapping[str, Any]) -> None:
        ours = {"feed": self.config.alpaca.feed, "account": account_of(self.config)}
        for what, wanted in ours.items():
            found = facts.get(what, wanted)
            if found != wanted:
                message = (
                    f"the feed {self.name} is for the {what} {wanted}, and the stack of this "
                    f"machine serves {found}: use the same settings, or set `stack.folder` to "
                    "another folder, which gets a stack of its own"
                )
                raise FeedError(message)
