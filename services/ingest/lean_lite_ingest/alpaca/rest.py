"""Ask Alpaca's REST service for bars, through its own client, in a thread."""

import asyncio
import functools
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import requests
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    StockBarsRequest,
    StockLatestBarRequest,
)
from alpaca.data.timeframe import TimeFrame

from lean_lite.blocks import Origin
from lean_lite.config import AlpacaConfig
from lean_lite.errors import FeedUnavailable
from lean_lite.model import Resolution
from lean_lite.model.timestamps import from_ns
from lean_lite_ingest.alpaca.error_codes import explain
from lean_lite_ingest.alpaca.wire import to_row
from lean_lite_ingest.rate_limit import RateLimit
from lean_lite_ingest.rows import Row

CONNECT_S = 5.0
TEST_SYMBOL = "FAKEPACA"
TIMEFRAMES = {Resolution.MINUTE: TimeFrame.Minute, Resolution.DAILY: TimeFrame.Day}


class AlpacaHistory:
    """Fetch bars of one asset class."""

    def __init__(
        self, config: AlpacaConfig, asset_class: str, feed: str, limit: RateLimit, timeout_s: float
    ) -> None:
        """Connect nothing before the first request."""
        self.feed = feed
        self._crypto = asset_class == "crypto"
        self.simulator_url = config.rest_url if config.simulated else ""
        # What a simulator has, once it was asked.
        self.offered: tuple[str, ...] = ()
        self._limit = limit
        client_type = CryptoHistoricalDataClient if self._crypto else StockHistoricalDataClient
        self._client: Any = client_type(
            str(config.key_id),
            str(config.secret_key),
            raw_data=True,
            url_override=config.rest_url or None,
        )
        # The client has no timeout of its own.
        session: Any = self._client._session  # noqa: SLF001
        session.request = functools.partial(session.request, timeout=(CONNECT_S, timeout_s))
        # A simulator is on this machine or next to it: no proxy stands between.
        session.trust_env = not config.simulated

    async def bars(
        self,
        symbols: Sequence[str],
        start_ns: int,
        end_ns: int,
        resolution: Resolution = Resolution.MINUTE,
    ) -> list[Row]:
        """
        Return the bars that start from `start_ns` to `end_ns`, both included: minutes or days.

        FeedUnavailable when Alpaca does not answer, or refuses.
        """
        span = (from_ns(start_ns), from_ns(end_ns), TIMEFRAMES[resolution])
        found = await self._call(lambda: self._fetch(list(symbols), *span))
        wall_ns = time.time_ns()
        return [
            to_row(bar, Origin.BACKFILL, wall_ns, symbol)
            for symbol, bars in found.items()
            for bar in bars
        ]

    async def with_bars(self, symbols: Collection[str]) -> set[str]:
        """Return those symbols that have ever had a bar; FeedUnavailable as in `bars`."""
        found = await self._call(lambda: self._latest(list(symbols)))
        return found & set(symbols)

    async def _call[Found](self, ask: Callable[[], Found]) -> Found:
        await self._limit.acquire()
        try:
            return await asyncio.to_thread(ask)
        except APIError as error:
            message = f"Alpaca's REST service refuses: {explain(error.status_code, str(error))}"
            raise FeedUnavailable(message) from error
        except (requests.RequestException, AttributeError, ValueError) as error:
            message = f"Alpaca's REST service gave no bars: {error}"
            raise FeedUnavailable(message) from error

    def _latest(self, symbols: list[str]) -> set[str]:
        if self.simulator_url:
            # Its symbols have no bar before the recording begins, and are known all the same.
            reply = self._client._session.get(f"{self.simulator_url}/sim/symbols")  # noqa: SLF001
            reply.raise_for_status()
            found = reply.json()["symbols"]
            self.offered = tuple(symbol for symbol in found if symbol != TEST_SYMBOL)
            return set(found)
        if self._crypto:
            wanted = CryptoLatestBarRequest(symbol_or_symbols=symbols)
            return set(self._client.get_crypto_latest_bar(wanted))
        request = StockLatestBarRequest(symbol_or_symbols=symbols, feed=DataFeed(self.feed))
        return set(self._client.get_stock_latest_bar(request))

    def _fetch(
        self, symbols: list[str], start: datetime, end: datetime, timeframe: TimeFrame
    ) -> dict[str, list[dict[str, Any]]]:
        span: dict[str, Any] = {
            "symbol_or_symbols": symbols,
            "timeframe": timeframe,
            "start": start,
            "end": end,
        }
        if self._crypto:
            found = self._client.get_crypto_bars(CryptoBarsRequest(**span))
        else:
            request = StockBarsRequest(**span, feed=DataFeed(self.feed))
            found = self._client.get_stock_bars(request)
        return dict(found)
