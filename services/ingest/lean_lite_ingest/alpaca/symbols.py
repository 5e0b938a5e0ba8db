"""Which symbols have the right form and still are none: Alpaca never had a bar of them."""

import asyncio
import logging
import time
from collections.abc import Collection
from itertools import batched

from lean_lite.errors import FeedUnavailable
from lean_lite_ingest.interest import Refusals
from lean_lite_ingest.rest import TEST_SYMBOL, Rest

AGAIN_S = 60.0
ANSWER_S = 2.0
SYMBOLS_PER_REQUEST = 500
NAMED = 8

log = logging.getLogger(__name__)


class Directory:
    """Tell what one feed knows; the socket takes every symbol and stays silent."""

    def __init__(self, rest: Rest) -> None:
        """Ask nothing before `refuse`."""
        self._rest = rest
        self._unknown_at: dict[str, float] = {}
        # What has had a bar once stays known.
        self._known: set[str] = set()

    async def refuse(self, symbols: Collection[str]) -> Refusals:
        """Return the symbols that the feed does not know; none while REST does not answer."""
        now = time.monotonic()
        self._unknown_at = {s: at for s, at in self._unknown_at.items() if at > now - AGAIN_S}
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
                return await self._rest.known(symbols)
        except (FeedUnavailable, TimeoutError) as error:
            log.warning("directory.silent", extra={"feed": self._rest.feed, "error": repr(error)})
            return None
