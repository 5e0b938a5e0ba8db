"""Slices: live bars of several symbols as an async iterator of time slices."""

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
# Records read without a pause for other tasks.
BATCH = 256
# At most this much of one wait counts for the grace: if the event loop was blocked for longer, bars
# may have arrived that were not read.
MAX_WAIT_S = 0.05

log = logging.getLogger(__name__)


class LiveSource(Protocol):
    """Started stream of live records, as `Live` is."""

    @property
    def behind(self) -> int:
        """Number of records that wait for the reader."""

    async def __anext__(self) -> LiveBar:
        """Return the next record."""

    async def stop(self) -> None:
        """Unsubscribe."""


class Slices:
    """
    Time slices of several symbols' live bars.

    An async iterator of `Slice` and an async context manager; `DataEngine.slices` makes one.
    Nothing is requested before the first slice is.

    Order: first slices come by start, each once; a revision of an earlier slice may come between.
    Grace counts only while the strategy waits for a slice, so bars that arrive while it computes
    are not missing, however long it takes.

    Cancellation: waiting for a slice may be cancelled; no slice is lost and the stream continues.
    Once closed, or garbage-collected, it does not start again.

    Args:
        open_live: opens the live stream; called with the first request.
        symbols: the symbols.
        grace_s: how long a silent symbol is waited for, in seconds.
    """

    def __init__(
        self,
        open_live: Callable[[], Awaitable[LiveSource]],
        symbols: Iterable[str],
        grace_s: float,
    ) -> None:
        self._live: LiveSource | None = None
        self._open_live = open_live
        self._alignment = Alignment(symbols, grace_s)
        self._live_start: LiveStart | None = None
        self._ready: deque[Slice] = deque()
        self._waited_s = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return the stream, which starts with the request for the first slice."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Slice]:
        """Iterate over the slices until the stream is closed."""
        return self

    async def __anext__(self) -> Slice:
        """
        Return the next slice.

        Raises:
            StopAsyncIteration: the stream or its engine has been closed.
            RequestError: a symbol is refused.
            StackError: the stack of this machine is lost.
        """
        if self._live is None and not self._closed:
            await self._start()
        while self._live is not None:
            if self._ready:
                return self._ready.popleft()
            await self._read(self._live)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream; it can't be started again. May be called again."""
        self._closed = True
        live, self._live = self._live, None
        if live is not None:
            await live.stop()

    def __del__(self) -> None:
        # `async for one in engine.slices(...): ...; break` leaves a stream without `aclose`. The
        # bus refers to the live stream: without this it would stay subscribed until the engine
        # stops. Garbage may be collected in any thread.
        if self._live is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_stop_in_background, self._live)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        # The stream starts at the time of the first request, even if that was cancelled.
        self._live_start = self._live_start or LiveStart()
        self._live = await self._open_live()
        if self._closed:
            await self.aclose()

    async def _read(self, live: LiveSource) -> None:
        """Read all waiting records, then wait for another one unless a slice is due."""
        # Waiting records first: a symbol whose bar has arrived must not be missing.
        while live.behind and not self._alignment.full:
            for _ in range(min(live.behind, BATCH)):
                self._add(await anext(live))
            # The code above does not suspend: let the bus deliver more.
            await asyncio.sleep(0)
        self._ready.extend(self._alignment.due(self._waited_s))
        if not self._ready:
            await self._wait(live)

    async def _wait(self, live: LiveSource) -> None:
        """
        Wait for a record, `MAX_WAIT_S` or until the next slice is overdue.

        Only these waits count for the grace of a silent symbol. While the strategy computes, bars
        may be waiting in the queue, or in the socket if it blocks the event loop.
        """
        deadline_s = self._alignment.deadline
        limit_s = None
        if deadline_s is not None:
            limit_s = min(max(deadline_s - self._waited_s, 0.001), MAX_WAIT_S)
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                self._add(await anext(live))
        except TimeoutError:
            pass
        finally:
            self._waited_s += min(time.monotonic() - started_s, MAX_WAIT_S)

    def _add(self, record: LiveBar) -> None:
        if self._live_start is not None and not self._live_start.includes(record):
            return
        revised = self._alignment.add(record, self._waited_s)
        if revised is not None:
            self._ready.append(revised)


def _stop_in_background(live: LiveSource) -> None:
    stopping = asyncio.ensure_future(live.stop())
    stopping.add_done_callback(_log_failure)


def _log_failure(stopping: asyncio.Future[None]) -> None:
    if not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.info("a stream of slices could not be stopped: %s", error)
