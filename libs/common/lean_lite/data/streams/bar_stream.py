"""BarStream: bars of some symbols as an async iterator, history first, then live."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from lean_lite.data.streams.reader import BarReader
from lean_lite.model import TradeBar
from lean_lite.protocol.history import Gap
from lean_lite.protocol.live import LiveBar


class BarStream:
    """
    Bars of some symbols, history first, then live, without gap or duplicate.

    An async iterator of `TradeBar` and an async context manager; `DataEngine.bars` makes one.
    Nothing is requested before the first bar is. A bounded number of bars is read ahead; if the
    reader is slow, further bars stay in the store until there is room.

    Order: bars of a symbol are yielded by start, except those that fill a gap, which come later.
    History of all symbols is ordered by start. INVALID bars are left out. History is what is
    stored, corrections included; for live bars `revisions` decides:

    - `first`: every bar is yielded once, in its first version.
    - `final`: every bar is yielded once, when it has been corrected, about a minute later.
    - `all`: each correction is yielded as a further bar of the same start.

    Cancellation: waiting for a bar may be cancelled, for example by a timeout; no bar is lost and
    the stream continues. With a durable name a bar counts as processed when the next one is
    requested, so after a restart the last one is yielded again.

    Args:
        reader: reads the bars.
    """

    def __init__(self, reader: BarReader) -> None:
        self._reader = reader
        self._task: asyncio.Task[None] | None = None
        self._record: LiveBar | None = None

    @property
    def record(self) -> LiveBar:
        """Live record of the last bar, with its quality; LookupError before the first one."""
        if self._record is None:
            message = "no bar was read yet: `record` is the live record of the last bar"
            raise LookupError(message)
        return self._record

    @property
    def gaps(self) -> list[Gap]:
        """Spans of history that could not be fetched so far."""
        return self._reader.gaps

    async def __aenter__(self) -> Self:
        """Return the stream, which starts with the request for the first bar."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[TradeBar]:
        """Iterate over the bars until the stream is closed."""
        return self

    async def __anext__(self) -> TradeBar:
        """
        Return the next bar; the one before then counts as processed.

        Raises:
            StopAsyncIteration: the stream or its engine has been closed.
            RequestError: a symbol is refused, or another reader uses the durable name.
            StackError: the stack of this machine is lost.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._reader.run(), name="read bars")
        self._record = await self._reader.get()
        return self._record.bar()

    async def aclose(self) -> None:
        """
        Save the bookmark of a durable name and stop reading; may be called again.

        Raises:
            RequestError: another reader uses the durable name. Reading is stopped all the same.
        """
        if self._task is None:
            return
        try:
            await self._reader.save_bookmark()
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    def __del__(self) -> None:
        # `async for bar in engine.bars(...): ...; break` leaves a stream without `aclose`. Its
        # task does not refer to the stream: without this it would keep the subscription alive,
        # and up to 65,536 live records, until the engine stops. Garbage may be collected in
        # any thread. The bookmark is not saved: the last second is read again.
        if self._task is not None and not self._task.done():
            loop = self._task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._task.cancel)
