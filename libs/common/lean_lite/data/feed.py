"""What a source of bars looks like."""

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
    Be the base of a feed of your own.

    Implement the five methods, add the feed to a `DataEngine`, and hand every bar to `publish`:
    it is graded, stored and delivered like any other. `asset_classes` are those that the feed can
    serve; a word in its name (`stocks`, `crypto`, `forex`) makes it the first choice for one.

    `buffer` holds the newest bars and `metrics` counts them. When the source is lost, call
    `connection_lost`: `connect` is called again until it succeeds, after waits that grow, and then
    `subscribe` for everything that is wanted.
    """

    asset_classes: Sequence[str] = ASSET_CLASSES

    def __init__(self, name: str, config: Config | None = None) -> None:
        """Take a name of letters, digits, `_` and `-`; FeedError for another one."""
        if not NAME.fullmatch(name):
            message = f"{name!r} is no name for a feed: use up to 64 letters, digits, `_` and `-`"
            raise FeedError(message)
        self.name = name
        self.config = config or Config()
        self.buffer = DataBuffer()
        self.metrics = DataMetrics()
        self._carrier: FeedHost | None = None

    @property
    def served_by_ingest(self) -> bool:
        """Whether ingest publishes the bars of this feed, which then is only a handle."""
        return False

    @abstractmethod
    async def connect(self) -> bool:
        """Reach the source; False when it can't be reached."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Leave the source."""

    @abstractmethod
    async def subscribe(self, symbol: str) -> bool:
        """Begin to publish a symbol's bars; False when the source does not have it."""

    @abstractmethod
    async def unsubscribe(self, symbol: str) -> bool:
        """Stop publishing a symbol's bars."""

    @abstractmethod
    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> Sequence[TradeBar]:
        """Return the bars that start from `start_date` until before `end_date`."""

    async def publish(self, bar: TradeBar) -> None:
        """
        Send a bar into the pipeline; waits while too many are queued.

        FeedError when the feed is not running, the bar can't be sent, or nothing takes it in time.
        """
        if self._carrier is None:
            raise FeedError(self._not_running())
        await self._carrier.publish(bar)
        self.count_bar(bar)

    def connection_lost(self, why: str = "") -> None:
        """Say that the source is gone, and why: it is connected again; FeedError as `publish`."""
        self.metrics.increment_errors()
        if self._carrier is None:
            raise FeedError(self._not_running())
        self._carrier.connection_lost(why)

    def count_bar(self, bar: TradeBar) -> None:
        """Count a bar of this feed and keep it in the buffer."""
        self.metrics.increment_messages()
        self.buffer.add(bar)
        self.metrics.set_buffer_utilization(self.buffer.utilization)

    def get_connection_status(self) -> ConnectionStatus:
        """Say whether the feed runs."""
        if self._carrier is None:
            return ConnectionStatus(connected=False, detail="not started")
        return self._carrier.status()

    def attach(self, host: FeedHost | None) -> None:
        """Be carried from now on, or no more; the engine calls this."""
        self._carrier = host

    def _not_running(self) -> str:
        return f"the feed {self.name} is not running: add it to a DataEngine and start that"
