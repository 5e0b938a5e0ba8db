"""The bars of several symbols, minute by minute."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, Self

from lean_lite.data.streams.alignment import Alignment, Slice
from lean_lite.data.streams.start_positions import LiveStart
from lean_lite.protocol.live import LiveBar

GRACE_S = 2.0
TOGETHER = 256
# Waiting is looked at so often: an event loop that stands still for longer has waited no more.
LOOK_S = 0.05

log = logging.getLogger(__name__)


class LiveSource(Protocol):
    """Be live records, as `Live` is."""

    @property
    def behind(self) -> int:
        """Return how many have come and wait to be taken."""

    async def __anext__(self) -> LiveBar:
        """Return the next one."""

    async def stop(self) -> None:
        """Ask for no more."""


class Slices:
    """Yield slices of live bars; an async iterator and an async context manager."""

    def __init__(
        self, begin: Callable[[], Awaitable[LiveSource]], symbols: Iterable[str], grace_s: float
    ) -> None:
        """Use `DataEngine.slices`; nothing is asked before the first slice is wanted."""
        self._live: LiveSource | None = None
        self._begin = begin
        self._alignment = Alignment(symbols, grace_s)
        self._beginning: LiveStart | None = None
        self._ready: deque[Slice] = deque()
        self._waited_s = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return the stream; it begins with the first slice."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Slice]:
        """Yield slices until stopped."""
        return self

    async def __anext__(self) -> Slice:
        """Return the next slice."""
        if self._live is None and not self._closed:
            await self._start()
        while self._live is not None:
            if self._ready:
                return self._ready.popleft()
            await self._take_waiting(self._live)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop for good."""
        self._closed = True
        live, self._live = self._live, None
        if live is not None:
            await live.stop()

    def __del__(self) -> None:
        """Stop when nobody can take any more."""
        if self._live is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_stop_in_background, self._live)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._beginning = self._beginning or LiveStart()
        self._live = await self._begin()
        if self._closed:
            await self.aclose()

    async def _take_waiting(self, live: LiveSource) -> None:
        """Take all that has come before a symbol is named missing, and wait when nothing is due."""
        while live.behind and not self._alignment.full:
            for _ in range(min(live.behind, TOGETHER)):
                self._add(await anext(live))
            # None of that need wait: the event loop has its turn, and may bring more.
            await asyncio.sleep(0)
        self._ready.extend(self._alignment.due(self._waited_s))
        if not self._ready:
            await self._wait(live)

    async def _wait(self, live: LiveSource) -> None:
        """
        Wait for a record, or for the next look.

        Only this is the waiting that a silent symbol's grace is made of. While the strategy
        computes bars may wait in the queue, and while it blocks the event loop in the socket.
        """
        deadline_s = self._alignment.deadline
        limit_s = None
        if deadline_s is not None:
            limit_s = min(max(deadline_s - self._waited_s, 0.001), LOOK_S)
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                self._add(await anext(live))
        except TimeoutError:
            pass
        finally:
            self._waited_s += min(time.monotonic() - began, LOOK_S)

    def _add(self, record: LiveBar) -> None:
        if self._beginning is not None and not self._beginning.includes(record):
            return
        revised = self._alignment.add(record, self._waited_s)
        if revised is not None:
            self._ready.append(revised)


def _stop_in_background(live: LiveSource) -> None:
    leaving = asyncio.ensure_future(live.stop())
    leaving.add_done_callback(_log_failure)


def _log_failure(leaving: asyncio.Future[None]) -> None:
    if not leaving.cancelled() and (error := leaving.exception()) is not None:
        log.info("slices.not_left", extra={"error": str(error)})
