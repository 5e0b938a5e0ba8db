"""AlpacaDataFeed: handle of the Alpaca account that ingest serves."""

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
    """The engine that a handle delegates to."""

    async def subscribe_symbol(self, symbol: str, feed_name: str | None = None) -> bool:
        """Deliver a symbol's live bars to the callbacks."""

    async def unsubscribe_symbol(self, symbol: str) -> bool:
        """Stop delivering a symbol's live bars to the callbacks."""

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Resolution = Resolution.MINUTE,
        *,
        feed_name: str | None = None,
    ) -> Bars:
        """Return the bars of a symbol that start in a span."""


class AlpacaDataFeed(DataFeed):
    """
    Handle of the Alpaca account that the service ingest serves.

    Ingest owns the keys and the only connection, which any number of processes share: a handle
    never connects to Alpaca, and keys never cross the bus. Add it to a `DataEngine`, which
    connects it.

    Args:
        name: up to 64 letters, digits, `_` and `-`.
        config: settings; by default those of the environment.

    Raises:
        FeedError: the name is invalid.
    """

    asset_classes: Sequence[str] = ("equity", "crypto")

    def __init__(self, name: str, config: Config | None = None) -> None:
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
        Connect the handle to an engine; called by the engine only.

        Args:
            host: the engine.
            bus: connection on which the heartbeats of ingest are received.
            facts: description of the stack.

        Raises:
            FeedError: the stack serves another feed or account than the handle's settings name.
        """
        self._check_account(facts)
        self._host, self._bus = host, bus
        self._heartbeats = HeartbeatMonitor(
            heartbeat("ingest", "*"), on_heartbeat=self._on_heartbeat
        )
        await self._heartbeats.start(bus)

    async def connect(self) -> bool:
        """Return True once the engine has started; FeedError before."""
        self._require_host()
        return True

    async def disconnect(self) -> None:
        """Disconnect from the engine; the account stays connected for others."""
        if self._heartbeats is not None:
            await self._heartbeats.stop()
        self._host = self._bus = self._heartbeats = self._ingest = None

    async def subscribe(self, symbol: str) -> bool:
        """
        Deliver a symbol's live bars to the engine's callbacks.

        Args:
            symbol: the symbol.

        Returns:
            True.

        Raises:
            FeedError: the engine has not started.
            RequestError: Alpaca refuses the symbol.
        """
        return await self._require_host().subscribe_symbol(symbol, feed_name=self.name)

    async def unsubscribe(self, symbol: str) -> bool:
        """
        Stop delivering a symbol's bars to the callbacks.

        Args:
            symbol: the symbol.

        Returns:
            False if it was not subscribed.

        Raises:
            FeedError: the engine has not started.
        """
        return await self._require_host().unsubscribe_symbol(symbol)

    async def get_historical_data(
        self,
        symbol: str,
        start_date: datetime,
        end_date: datetime,
        resolution: Resolution = Resolution.MINUTE,
    ) -> Bars:
        """
        Fetch historical bars, as `DataEngine.get_historical_data` does.

        Args:
            symbol: symbol of the bars.
            start_date: earliest start of a bar, inclusive.
            end_date: latest start of a bar, exclusive.
            resolution: resolution of the bars.

        Returns:
            The bars in order of start, with their gaps and grades.

        Raises:
            FeedError: the engine has not started.
        """
        return await self._require_host().get_historical_data(
            symbol, start_date, end_date, resolution, feed_name=self.name
        )

    def get_connection_status(self) -> ConnectionStatus:
        """Return whether bars can arrive, according to the bus and ingest's last heartbeat."""
        if self._bus is None:
            return ConnectionStatus(connected=False, detail="not started")
        if not self._bus.connected:
            return ConnectionStatus(connected=False, detail="the bus is unavailable")
        if self._ingest is None:
            return ConnectionStatus(connected=False, detail="no heartbeat of ingest yet")
        failing = "; ".join(self._ingest.failing)
        return ConnectionStatus(not failing, failing or f"served by {self._ingest.instance}")

    def _on_heartbeat(self, received: Heartbeat) -> None:
        # Of several instances of ingest, those on standby are not ready: show the active one.
        if self._ingest is None or received.ready or received.instance == self._ingest.instance:
            self._ingest = received

    def _require_host(self) -> Host:
        if self._host is None:
            message = (
                f"the feed {self.name} is a handle and works through an engine: "
                f"add it with `engine.add_feed` and call `await engine.start()`"
            )
            raise FeedError(message)
        return self._host

    def _check_account(self, facts: Mapping[str, Any]) -> None:
        settings = {"feed": self.config.alpaca.feed, "account": account_of(self.config)}
        for name, expected in settings.items():
            found = facts.get(name, expected)
            if found != expected:
                message = (
                    f"the feed {self.name} is for the {name} {expected}, and the stack of this "
                    f"machine serves {found}: use the same settings, or set `stack.folder` to "
                    "another folder, which gets a stack of its own"
                )
                raise FeedError(message)
