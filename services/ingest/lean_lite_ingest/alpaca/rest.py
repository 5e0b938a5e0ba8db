"""AlpacaHistory: bars from Alpaca's REST service through alpaca-py, within the plan's rate."""

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
from lean_lite_ingest.alpaca.wire import explain, to_row
from lean_lite_ingest.rows import Row

CONNECT_S = 5.0
TIMEFRAMES = {Resolution.MINUTE: TimeFrame.Minute, Resolution.DAILY: TimeFrame.Day}


class RateLimit:
    """Token bucket for requests: `per_min` on average, bursts of up to `burst`."""

    def __init__(self, per_min: int, *, burst: int = 10) -> None:
        self._every_s = 60.0 / per_min
        self._burst = burst
        self._free_at = time.monotonic() - burst * self._every_s

    async def acquire(self) -> None:
        """Wait until the next request may be sent."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - self._burst * self._every_s) + self._every_s
        await asyncio.sleep(max(self._free_at - now, 0))


class AlpacaHistory:
    """Bars of one feed, fetched in threads; `limit` is shared by all feeds of the account."""

    def __init__(
        self, config: AlpacaConfig, asset_class: str, feed: str, limit: RateLimit, timeout_s: float
    ) -> None:
        self._feed = feed
        self._crypto = asset_class == "crypto"
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
        # A simulator is on this machine or next to it: no proxy is in between.
        session.trust_env = not config.simulated

    async def bars(
        self,
        symbols: Sequence[str],
        start_ns: int,
        end_ns: int,
        resolution: Resolution = Resolution.MINUTE,
    ) -> list[Row]:
        """
        Fetch the bars that start in [`start_ns`, `end_ns`], both included: minutes or days.

        FeedUnavailable when Alpaca does not reply, or refuses.
        """
        span = (from_ns(start_ns), from_ns(end_ns), TIMEFRAMES[resolution])
        found = await self._call(lambda: self._fetch(list(symbols), *span))
        wall_ns = time.time_ns()
        return [
            to_row(bar, Origin.BACKFILL, wall_ns, symbol)
            for symbol, bars in found.items()
            for bar in bars
        ]

    async def fetch_existing(self, symbols: Collection[str]) -> set[str]:
        """Return those symbols that have ever had a bar; FeedUnavailable as in `bars`."""
        found = await self._call(lambda: self._fetch_latest(list(symbols)))
        return found & set(symbols)

    @property
    def unknown_reason(self) -> str:
        """Why a symbol without any bar is refused."""
        return (
            f"Alpaca has never had a bar of it on the feed {self._feed}: check the spelling; "
            "a new symbol is accepted after its first trade"
        )

    async def _call[Found](self, fetch: Callable[[], Found]) -> Found:
        await self._limit.acquire()
        try:
            return await asyncio.to_thread(fetch)
        except APIError as error:
            message = f"Alpaca's REST service refuses: {explain(error.status_code, str(error))}"
            raise FeedUnavailable(message) from error
        except (requests.RequestException, AttributeError, ValueError) as error:
            message = f"Alpaca's REST service returned no bars: {error}"
            raise FeedUnavailable(message) from error

    def _fetch_latest(self, symbols: list[str]) -> set[str]:
        if self._crypto:
            crypto_request = CryptoLatestBarRequest(symbol_or_symbols=symbols)
            return set(self._client.get_crypto_latest_bar(crypto_request))
        request = StockLatestBarRequest(symbol_or_symbols=symbols, feed=DataFeed(self._feed))
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
            request = StockBarsRequest(**span, feed=DataFeed(self._feed))
            found = self._client.get_stock_bars(request)
        return dict(found)
