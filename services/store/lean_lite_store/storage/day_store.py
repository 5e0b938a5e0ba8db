"""DayStore: where history reads bars, and its form over the journal."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from lean_lite.blocks import Block
from lean_lite.model.timestamps import DAY_NS
from lean_lite_store.storage.database import open_reader
from lean_lite_store.storage.day_table import Change, DayTable
from lean_lite_store.storage.journal import journaled_days, read_day
from lean_lite_store.storage.series import DayRows, Series, Source, source_of

DayTables = dict[Source, DayTable]


class DayStore(Protocol):
    """
    Interface to the stored bars by UTC day, independent of how they are stored.

    See docs/decisions/0003-store-reading-interface.md.
    """

    def days(self) -> Sequence[int]:
        """Return the UTC days since 1970 that may have bars, in order."""

    def revision(self, day: int) -> int:
        """Return a number that grows whenever a bar of the day changes."""

    def loaded(self, days: Iterable[int]) -> AbstractAsyncContextManager[None]:
        """Keep days in memory inside the context; StoreError when one can't be loaded."""

    def series(self, symbol: str, resolution_s: int, day: int) -> list[Series]:
        """Return the series of a symbol in a loaded day."""

    def read(self, series: Series, start_ns: int, end_ns: int) -> Block:
        """
        Return bars with `start_ns <= start < end_ns` of one loaded day, in order of start.

        Columns are those of a bar with `level`, `reasons`, `seq` and `stored_ns`.
        """


class JournalDayStore:
    """
    Days as tables in memory, built from the journal when they are needed.

    The `limit` days used last stay in memory, besides those in use. The tables change only in
    `apply`, on the event loop: code that does not await sees one consistent state.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._reader = open_reader(path)
        self._thread = ThreadPoolExecutor(1, "loader")
        self._limit = limit
        self._loaded: OrderedDict[int, DayTables] = OrderedDict()
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._users: Counter[int] = Counter()
        self._days = journaled_days(self._reader)
        self._revisions: Counter[int] = Counter()

    def days(self) -> Sequence[int]:
        """Return the days that have rows in the journal."""
        return sorted(self._days)

    def revision(self, day: int) -> int:
        """Return how often the day has changed in this process."""
        return self._revisions[day]

    @asynccontextmanager
    async def loaded(self, days: Iterable[int]) -> AsyncIterator[None]:
        """Load the days that are missing and keep all of them in memory inside the context."""
        needed = list(days)
        self._users.update(needed)
        try:
            for day in needed:
                if day not in self._loaded:
                    await self._load(day)
                self._loaded.move_to_end(day)
            yield
        finally:
            self._users.subtract(needed)
            self._evict()

    def series(self, symbol: str, resolution_s: int, day: int) -> list[Series]:
        """Return one series per source that has the symbol."""
        return [
            Series(source, symbol)
            for source, table in self._loaded[day].items()
            if source.resolution_s == resolution_s and symbol in table
        ]

    def read(self, series: Series, start_ns: int, end_ns: int) -> Block:
        """Return the winning versions; KeyError for a day that is not loaded."""
        table = self._loaded[start_ns // DAY_NS][series.source]
        return table.read(series.symbol, start_ns, end_ns)

    def plan(self, group: DayRows) -> Change:
        """Return what rows of a loaded day would change."""
        day = self._loaded[group.day]
        table = day.get(group.source) or DayTable(group.source)
        return table.plan(group.block)

    def apply(self, group: DayRows, change: Change) -> None:
        """Make a committed change visible."""
        day = self._loaded[group.day]
        if group.source not in day:
            day[group.source] = DayTable(group.source)
        day[group.source].apply(change)
        self._days.add(group.day)
        self._revisions[group.day] += 1

    def close(self) -> None:
        """Finish the running load and close the file."""
        self._thread.shutdown()
        self._reader.close()

    async def _load(self, day: int) -> None:
        # Several requests may need a day: a cancelled one must not cancel the load for others.
        if day not in self._loading:
            self._loading[day] = asyncio.create_task(self._load_in_thread(day))
        await asyncio.shield(self._loading[day])

    async def _load_in_thread(self, day: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._loaded[day] = await loop.run_in_executor(self._thread, self._fold, day)
        finally:
            del self._loading[day]

    def _fold(self, day: int) -> DayTables:
        tables: DayTables = {}
        for block in read_day(self._reader, day):
            table = tables.setdefault(source_of(block), DayTable(source_of(block)))
            table.apply(table.plan(block))
        return tables

    def _evict(self) -> None:
        spare = [day for day in self._loaded if self._users[day] <= 0]
        for day in spare[: max(len(self._loaded) - self._limit, 0)]:
            del self._loaded[day]
