"""DataFeed: base class of a user's feed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from lean_lite.config import Config
from lean_lite.data.buffer import DataBuffer
from lean_lite.data.metrics import DataMetrics
from lean_lite.errors import FeedError
from lean_lite.feeds import ConnectionStatus, FeedHost
from lean_lite.model import Resolution, TradeBar
from lean_lite.protocol.partitions import ASSET_CLASSES
from lean_lite.protocol.subjects import NAME


class DataFeed(ABC):
    """
    Base class of your own feeds.

    Implement the five abstract methods, add the feed to a `DataEngine`, and pass every bar to
    `publish`: it is graded, stored and delivered like any other. When the source is lost, call
    `connection_lost`: `connect` is retried with back-off, then `subscribe` is called for every
    subscribed symbol.

    Args:
        name: up to 64 letters, digits, `_` and `-`; a word in it (`stocks`, `crypto`, `forex`)
            makes the feed the first choice for that asset class.
        config: settings; by default those of the environment.

    Attributes:
        asset_classes: asset classes that the feed can serve (class attribute).
        buffer: the newest bars of the feed.
        metrics: number of bars, errors and utilisation of the buffer.

    Raises:
        FeedError: the name is invalid.
    """

    asset_classes: Sequence[str] = ASSET_CLASSES

    def __init__(self, name: str, config: Config | None = None) -> None:
        if not NAME.fullmatch(name):
            message = f"invalid feed name {name!r}: use up to 64 letters, digits, `_` and `-`"
            raise FeedError(message)
        self.name = name
        self.config = config or Config()
        self.buffer = DataBuffer()
        self.metrics = DataMetrics()
        self._feed_host: FeedHost | None = None

    @property
    def served_by_ingest(self) -> bool:
        """Whether ingest publishes the bars of this feed, which then is only a handle."""
        return False

    @abstractmethod
    async def connect(self) -> bool:
        """Connect to the source; False if it can't be reached."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Disconnect from the source."""

    @abstractmethod
    async def subscribe(self, symbol: str) -> bool:
        """Start publishing a symbol's bars; False if the source does not have it."""

    @abstractmethod
    async def unsubscribe(self, symbol: str) -> bool:
        """Stop publishing a symbol's bars."""

    @abstractmethod
    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> Sequence[TradeBar]:
        """
        Fetch historical bars from the source.

        Args:
            symbol: symbol of the bars.
            start_date: earliest start of a bar, inclusive (UTC).
            end_date: latest start of a bar, exclusive (UTC).
            resolution: resolution of the bars.

        Returns:
            The bars in order of start; empty if the source has none.
        """

    async def publish(self, bar: TradeBar) -> None:
        """
        Publish a bar; waits while the queue is full (back-pressure).

        Args:
            bar: the bar.

        Raises:
            FeedError: the feed is not running, the bar is invalid for the bus, or the queue stays
                full.
        """
        if self._feed_host is None:
            raise FeedError(self._not_running())
        await self._feed_host.publish(bar)
        self.count_bar(bar)

    def connection_lost(self, why: str = "") -> None:
        """
        Report that the source was lost, so that the feed is reconnected.

        Args:
            why: reason for the log and the connection status.

        Raises:
            FeedError: the feed is not running.
        """
        self.metrics.increment_errors()
        if self._feed_host is None:
            raise FeedError(self._not_running())
        self._feed_host.connection_lost(why)

    def count_bar(self, bar: TradeBar) -> None:
        """
        Count a bar in `metrics` and add it to `buffer`; `publish` does so by itself.

        Args:
            bar: the bar.
        """
        self.metrics.increment_messages()
        self.buffer.add(bar)
        self.metrics.set_buffer_utilization(self.buffer.utilization)

    def get_connection_status(self) -> ConnectionStatus:
        """Return whether the feed is connected, with a detail in words."""
        if self._feed_host is None:
            return ConnectionStatus(connected=False, detail="not started")
        return self._feed_host.status()

    def attach(self, host: FeedHost | None) -> None:
        """
        Set or remove the host that publishes the feed's bars; called by the engine only.

        Args:
            host: the host, or None.
        """
        self._feed_host = host

    def _not_running(self) -> str:
        return f"the feed {self.name} is not running: add it to a DataEngine and start the engine"
