"""MarketDataSource: what a vendor of market data implements, and how it calls back."""

from collections.abc import Collection, Sequence
from typing import Protocol

from lean_lite.errors import RequestError
from lean_lite.model import Resolution
from lean_lite_ingest.clock import FeedClock
from lean_lite_ingest.rows import Row

# Why symbols are refused, by symbol.
Refusals = dict[str, str]


class StreamHooks(Protocol):
    """
    Callbacks of a vendor's stream.

    They are synchronous, never wait, and are called in the order of the vendor's messages.
    """

    def on_rows(self, rows: Sequence[Row], wall_ns: int) -> None:
        """Receive the bars of one message, and when it arrived by this machine's clock."""

    def on_unreadable(self, error: Exception) -> None:
        """Receive why a bar could not be decoded; the other bars of its message are delivered."""

    def on_subscribed(self, symbols: frozenset[str]) -> None:
        """Receive all symbols that the vendor sends from now on."""

    def on_error(self, reason: str) -> None:
        """Receive an error message of the vendor, with what to do about it."""

    def on_disconnected(self) -> None:
        """Receive the end of the connection; the stream reconnects by itself."""


class LiveStream(Protocol):
    """
    Live bars and their corrections, over a connection that reconnects by itself.

    `connect_error` is why the last attempt to connect failed, and `refusal` why the vendor refuses
    the account until keys or plan change; each is empty without such a failure.
    """

    connect_error: str
    refusal: str

    async def run_connected(self) -> None:
        """Stay connected until cancelled; return only with a refusal, and clear an earlier one."""

    def add_symbols(self, symbols: Collection[str]) -> None:
        """Add symbols to those that every connection subscribes; nothing is sent."""

    async def subscribe_all(self) -> None:
        """Subscribe all symbols now, if connected."""

    async def remove_symbols(self, symbols: Collection[str]) -> None:
        """Remove symbols, and unsubscribe them if connected."""


class BarHistory(Protocol):
    """History of one feed by REST."""

    async def bars(
        self,
        symbols: Sequence[str],
        start_ns: int,
        end_ns: int,
        resolution: Resolution = Resolution.MINUTE,
    ) -> list[Row]:
        """Fetch the bars that start in [`start_ns`, `end_ns`], both included; FeedUnavailable."""


class SymbolCheck(Protocol):
    """The symbols that one feed has."""

    async def find_unknown(self, symbols: Collection[str]) -> Refusals:
        """Return those that the feed does not have; none while the vendor is unavailable."""


class MarketDataSource(Protocol):
    """
    One feed of a vendor's account, for one asset class.

    `vendor` and `feed` are names, for texts and for subjects. `simulated` marks bars that are
    replayed, not live. `clock` has the feed's time.
    """

    vendor: str
    feed: str
    asset_class: str
    simulated: bool
    clock: FeedClock
    history: BarHistory
    symbols: SymbolCheck

    def open_stream(self, hooks: StreamHooks) -> LiveStream:
        """Return the stream of this feed; it connects when it runs."""


def raise_refused(refused: Refusals) -> None:
    """Raise RequestError `symbol` with the first reason, if any symbol is refused."""
    for reason in refused.values():
        code = "symbol"
        raise RequestError(code, reason)
