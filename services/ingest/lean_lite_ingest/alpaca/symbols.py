"""Which symbols have the right form and still are none: Alpaca never had a bar of them."""

import asyncio
import logging
import re
import time
from collections.abc import Collection, Iterable
from itertools import batched

from lean_lite.errors import FeedUnavailable, RequestError
from lean_lite.market.symbols import asset_class_of
from lean_lite_ingest.alpaca.rest import TEST_SYMBOL, AlpacaHistory

RECHECK_S = 60.0
ANSWER_S = 2.0
SYMBOLS_PER_REQUEST = 500
NAMED = 8

Refusals = dict[str, str]

log = logging.getLogger(__name__)


class SymbolDirectory:
    """Tell what one feed knows; the socket takes every symbol and stays silent."""

    def __init__(self, rest: AlpacaHistory) -> None:
        """Ask nothing before `refuse`."""
        self._rest = rest
        self._unknown_at: dict[str, float] = {}
        # What has had a bar once stays known.
        self._known: set[str] = set()

    async def unknown(self, symbols: Collection[str]) -> Refusals:
        """Return the symbols that the feed does not know; none while REST does not answer."""
        now = time.monotonic()
        self._unknown_at = {s: at for s, at in self._unknown_at.items() if at > now - RECHECK_S}
        asked = [s for s in symbols if s not in self._unknown_at and s not in self._known]
        for some in batched(asked, SYMBOLS_PER_REQUEST):
            found = await self._ask(some)
            if found is not None:
                self._known |= found
                self._unknown_at |= dict.fromkeys(set(some) - found, now)
        return {symbol: self._reason for symbol in symbols if symbol in self._unknown_at}

    @property
    def _reason(self) -> str:
        if self._rest.simulator_url:
            return (
                f"the simulator has no bars of it: take {self._some()}, or Alpaca's data with "
                "APCA_API_KEY_ID and APCA_API_SECRET_KEY"
            )
        return (
            f"Alpaca has never had a bar of it on the feed {self._rest.feed}: check the spelling; "
            "a new one is taken after its first trade"
        )

    def _some(self) -> str:
        *names, last = self._rest.offered[:NAMED] or (TEST_SYMBOL,)
        return f"{', '.join(names)} or {last}" if names else last

    async def _ask(self, symbols: Collection[str]) -> set[str] | None:
        """Return those that are known; None when nobody tells."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._rest.with_bars(symbols)
        except (FeedUnavailable, TimeoutError) as error:
            log.warning("directory.silent", extra={"feed": self._rest.feed, "error": repr(error)})
            return None


EQUITY = re.compile(r"[A-Z][A-Z0-9]{0,9}([.\-/][A-Z0-9]{1,4})?")
CRYPTO = re.compile(r"[A-Z0-9]{2,10}/[A-Z0-9]{2,10}")


def invalid_reason(symbol: str) -> str | None:
    """Say why a symbol can't be asked for, or nothing."""
    if symbol == "*":
        return "the whole market can't be asked for yet: name the symbols"
    asset_class = asset_class_of(symbol)
    if asset_class == "forex":
        return (
            f"{symbol} is a pair of currencies, and Alpaca sends bars of equities and crypto only: "
            "add a feed of your own that serves forex with `engine.add_feed`"
        )
    form = CRYPTO if asset_class == "crypto" else EQUITY
    if not form.fullmatch(symbol):
        return f"invalid symbol {symbol!r}: expected e.g. AAPL, BRK.B or BTC/USD"
    return None


def split_valid(symbols: Iterable[str]) -> tuple[list[str], Refusals]:
    """Return the well-formed symbols, and why the others are refused."""
    faults = {symbol: invalid_reason(symbol) for symbol in dict.fromkeys(symbols)}
    good = [symbol for symbol, fault in faults.items() if fault is None]
    return good, {symbol: fault for symbol, fault in faults.items() if fault is not None}


def raise_refused(refused: Refusals) -> None:
    """Raise RequestError `symbol` with the first reason there is."""
    for reason in refused.values():
        code = "symbol"
        raise RequestError(code, reason)
