"""The bars of some symbols as a stream that a strategy reads."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from lean_lite.data.streams.reader import BarReader
from lean_lite.model import TradeBar
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar


class BarStream:
    """
    Yield the bars of some symbols: history since a moment, then live.

    An async iterator and an async context manager; waiting for a bar may be cancelled, and the
    stream goes on. `record` is the live record of the bar that was yielded last, with its quality;
    `gaps` names what could not be had of history. With `revisions` `first` every bar comes once, as
    it was when it came first; with `final` once, when late trades have corrected it; with `all`
    corrections follow as further bars of the same start. History is always what is stored,
    corrections included, and INVALID bars never come.
    """

    def __init__(self, reading: BarReader) -> None:
        """Use `DataEngine.bars`; nothing is asked before the first bar is wanted."""
        self._reading = reading
        self._work: asyncio.Task[None] | None = None
        self._record: LiveBar | None = None

    @property
    def record(self) -> LiveBar:
        """Return the live record of the last bar; LookupError before the first one."""
        if self._record is None:
            message = "no bar has come yet: `record` is that of the bar that came last"
            raise LookupError(message)
        return self._record

    @property
    def gaps(self) -> list[Gap]:
        """Return what could not be had of history so far."""
        return self._reading.gaps

    async def __aenter__(self) -> Self:
        """Return the stream; it begins with the first bar."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[TradeBar]:
        """Yield bars until stopped."""
        return self

    async def __anext__(self) -> TradeBar:
        """Return the next bar; the one before counts as done, which a durable name remembers."""
        if self._work is None:
            self._work = asyncio.create_task(self._reading.run(), name="read bars")
        self._record = await self._reading.get()
        return self._record.bar()

    async def aclose(self) -> None:
        """
        Stop; a durable name goes on with the last bar, which may not have been dealt with.

        RequestError when another reader has taken that name.
        """
        if self._work is None:
            return
        try:
            await self._reading.save_bookmark()
        finally:
            self._work.cancel()
            await asyncio.wait([self._work])

    def __del__(self) -> None:
        """Stop reading when nobody can take any more."""
        if self._work is not None and not self._work.done():
            loop = self._work.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._work.cancel)
