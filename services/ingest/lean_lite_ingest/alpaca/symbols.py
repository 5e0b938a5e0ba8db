"""SymbolDirectory: symbols that the vendor does not have; and which texts are symbols at all."""

import asyncio
import logging
import re
import time
from collections.abc import Collection, Iterable
from itertools import batched
from typing import Protocol

from lean_lite.errors import FeedUnavailable
from lean_lite.market.symbols import asset_class_of
from lean_lite_ingest.source import Refusals

# The refusal of an unknown symbol is remembered for this long: it may be listed in the meantime.
RECHECK_S = 60.0
# A client waits for the reply to its subscription, and without this one the symbol is accepted.
REPLY_TIMEOUT_S = 2.0
SYMBOLS_PER_REQUEST = 500
EQUITY = re.compile(r"[A-Z][A-Z0-9]{0,9}([.\-/][A-Z0-9]{1,4})?")
CRYPTO = re.compile(r"[A-Z0-9]{2,10}/[A-Z0-9]{2,10}")

log = logging.getLogger(__name__)


class SymbolSource(Protocol):
    """Where a directory looks up symbols."""

    @property
    def unknown_reason(self) -> str:
        """Why a symbol that does not exist is refused."""

    async def fetch_existing(self, symbols: Collection[str]) -> set[str]:
        """Return those symbols that exist; FeedUnavailable without a reply."""


class SymbolDirectory:
    """
    Cache of the symbols that one feed has.

    The websocket accepts every well-formed symbol and sends nothing for those that do not exist.
    """

    def __init__(self, feed: str, source: SymbolSource) -> None:
        self._feed = feed
        self._source = source
        self._unknown_at: dict[str, float] = {}
        # A symbol that has had a bar never ceases to exist.
        self._existing: set[str] = set()

    async def find_unknown(self, symbols: Collection[str]) -> Refusals:
        """Return those that the feed does not have; none while the source is unavailable."""
        now = time.monotonic()
        self._unknown_at = {s: at for s, at in self._unknown_at.items() if at > now - RECHECK_S}
        new = [s for s in symbols if s not in self._unknown_at and s not in self._existing]
        for some in batched(new, SYMBOLS_PER_REQUEST):
            found = await self._fetch_existing(some)
            if found is not None:
                self._existing |= found
                self._unknown_at |= dict.fromkeys(set(some) - found, now)
        reason = self._source.unknown_reason
        return {symbol: reason for symbol in symbols if symbol in self._unknown_at}

    async def _fetch_existing(self, symbols: Collection[str]) -> set[str] | None:
        """Return those that exist; None without a reply in time."""
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await self._source.fetch_existing(symbols)
        except (FeedUnavailable, TimeoutError) as error:
            log.warning("symbols.fetch_failed", extra={"feed": self._feed, "error": repr(error)})
            return None


def invalid_reason(symbol: str) -> str | None:
    """Return why a text cannot be a symbol of Alpaca, or None."""
    if symbol == "*":
        return "the whole market cannot be subscribed yet: name the symbols"
    asset_class = asset_class_of(symbol)
    if asset_class == "forex":
        return (
            f"{symbol} is a pair of currencies, and Alpaca has bars of equities and crypto only: "
            "add a feed of your own that serves forex with `engine.add_feed`"
        )
    form = CRYPTO if asset_class == "crypto" else EQUITY
    if not form.fullmatch(symbol):
        return f"invalid symbol {symbol!r}: expected e.g. AAPL, BRK.B or BTC/USD"
    return None


def split_valid(symbols: Iterable[str]) -> tuple[list[str], Refusals]:
    """Return the well-formed symbols, and why the others are refused."""
    reasons = {symbol: invalid_reason(symbol) for symbol in dict.fromkeys(symbols)}
    valid = [symbol for symbol, reason in reasons.items() if reason is None]
    return valid, {symbol: reason for symbol, reason in reasons.items() if reason is not None}
