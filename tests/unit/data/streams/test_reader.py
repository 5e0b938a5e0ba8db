"""Live records follow history without gap or duplicate, and bookmarks skip no record."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import cast

import pytest

from lean_lite.data.history.client import HistorySnapshot, fetch
from lean_lite.data.live import Live
from lean_lite.data.streams.bookmarks import BookmarkStore, StoredBookmark
from lean_lite.data.streams.reader import PREFETCH, BarReader, Revisions
from lean_lite.data.streams.start_positions import StartPositions
from lean_lite.protocol.bookmark import Bookmark, DeliveredBar, StartPosition
from lean_lite.protocol.history import HistoryRequest
from tests.harness.bars import NINE_THIRTY_NS
from tests.harness.memory_bus import MemoryBus
from tests.harness.waiting import until


class FakeBookmarks:
    """The bookmark of a name, saved after every bar."""

    due = True

    def __init__(self, found: StoredBookmark | None = None) -> None:
        self.found = found
        self.saved: list[tuple[dict[str, int], list[DeliveredBar]]] = []

    async def load(self) -> StoredBookmark | None:
        return self.found

    async def save(
        self,
        frontier: Mapping[str, int],
        beyond: Iterable[DeliveredBar],
        symbols: Mapping[str, StartPosition],
    ) -> None:
        self.saved.append((dict(frontier), list(beyond)))


class Pages:
    """History in one page, or the pages of a list; `before` runs before it is read."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.before: Callable[[], Awaitable[None]] | None = None
        self.pages: list[HistorySnapshot] = []

    async def __call__(
        self, symbols: Iterable[str], start_ns: int, min_seq: Mapping[str, int]
    ) -> AsyncIterator[HistorySnapshot]:
        if self.before is not None:
            await self.before()
        request = HistoryRequest(tuple(symbols), start_ns, min_seq=dict(min_seq))
        for page in self.pages or [await fetch(self.bus.bus, request)]:
            yield page


Start = Callable[..., BarReader]


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def pages(bus: MemoryBus) -> Pages:
    return Pages(bus)


@pytest.fixture
async def start(bus: MemoryBus, pages: Pages) -> AsyncIterator[Start]:
    """Start a reader of SPY, by default with history."""
    async with AsyncExitStack() as stack:

        def start(
            *,
            since_ns: int | None = NINE_THIRTY_NS,
            revisions: Revisions = "first",
            bookmarks: FakeBookmarks | None = None,
        ) -> BarReader:
            async def open_live(after: Mapping[str, int] | None) -> Live:
                live = Live(bus.bus, ["SPY"], after=after)
                await live.start()
                return live

            positions = StartPositions(["SPY"], since_ns)
            store = cast("BookmarkStore | None", bookmarks)
            reader = BarReader(open_live, pages, positions, revisions, store)
            task = asyncio.create_task(reader.run())

            async def stop() -> None:
                task.cancel()
                await asyncio.wait([task])

            stack.push_async_callback(stop)
            return reader

        yield start
    assert bus.subscribed == []


async def take(reader: BarReader, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await reader.get()).seq for _ in range(count)]


async def drain(reader: BarReader) -> list[int]:
    got = []
    async with asyncio.timeout(10):
        while True:
            try:
                got.append((await reader.get()).seq)
            except StopAsyncIteration:
                return got


async def test_live_records_follow_history(bus: MemoryBus, start: Start) -> None:
    await bus.publish_frames(1, 2, 3)
    reader = start()
    assert await take(reader, 3) == [1, 2, 3]
    await bus.publish_frames(4, 5)
    assert await take(reader, 2) == [4, 5]


async def test_records_published_between_subscription_and_snapshot_are_delivered_once(
    bus: MemoryBus, pages: Pages, start: Start
) -> None:
    async def publish_more() -> None:
        await bus.publish_frames(3, 4)

    await bus.publish_frames(1, 2)
    pages.before = publish_more
    reader = start()
    assert await take(reader, 4) == [1, 2, 3, 4]
    await bus.publish_frames(5)
    assert await take(reader, 1) == [5]


async def test_live_records_start_after_the_page_with_the_lowest_sequence(
    bus: MemoryBus, pages: Pages, start: Start
) -> None:
    async def publish_more() -> None:
        await bus.publish_frames(4, 5)

    # The first page has days that end before frame 4, the second one was read later.
    lane = str(bus.lane)
    await bus.publish_frames(1, 2, 3)
    pages.pages = [
        HistorySnapshot({lane: 3}, [bus.block([1, 2, 3])]),
        HistorySnapshot({lane: 5}, [bus.block([5])]),
    ]
    pages.before = publish_more
    reader = start()
    assert await take(reader, 5) == [1, 2, 3, 5, 4]
    await bus.publish_frames(6)
    assert await take(reader, 1) == [6]


async def test_without_since_a_reader_starts_with_the_next_record(
    bus: MemoryBus, start: Start
) -> None:
    await bus.publish_frames(1, 2)
    reader = start(since_ns=None)
    await until(lambda: bus.requests, "the end of the lane")
    await asyncio.sleep(0)
    await bus.publish_frames(3)
    assert await take(reader, 1) == [3]


async def test_a_bar_is_bookmarked_when_the_next_one_is_requested(
    bus: MemoryBus, start: Start
) -> None:
    bookmarks, lane = FakeBookmarks(), str(bus.lane)
    reader = start(since_ns=None, bookmarks=bookmarks)
    await until(lambda: bus.requests, "the end of the lane")
    await asyncio.sleep(0)
    await bus.publish_frames(1, 2, 3)
    assert await take(reader, 3) == [1, 2, 3]
    await reader.save_bookmark()
    assert bookmarks.saved[-1][0] == {lane: 2}, "the consumer still processes the third bar"


async def test_history_is_bookmarked_only_after_its_last_bar(bus: MemoryBus, start: Start) -> None:
    bookmarks, lane = FakeBookmarks(), str(bus.lane)
    await bus.publish_frames(1, 2, 3)
    reader = start(bookmarks=bookmarks)
    assert await take(reader, 3) == [1, 2, 3]
    await reader.save_bookmark()
    assert bookmarks.saved == []
    await bus.publish_frames(4)
    assert await take(reader, 1) == [4]
    assert bookmarks.saved == [({lane: 3}, [])]


async def test_a_reader_resumes_after_its_bookmark(bus: MemoryBus, start: Start) -> None:
    lane = str(bus.lane)
    await bus.publish_frames(*range(1, 8))
    beyond = (DeliveredBar("SPY", bus.record(5).start_ns, 5),)
    bookmark = Bookmark("before", {lane: 3}, beyond, {"SPY": StartPosition(0, 0)})
    reader = start(bookmarks=FakeBookmarks(StoredBookmark(bookmark, {lane: 7})))
    await until(lambda: bus.subscribed, "the subscription")
    await bus.publish_frames(8)
    assert await take(reader, 4) == [4, 6, 7, 8]


async def test_records_that_a_stop_drops_are_not_bookmarked(bus: MemoryBus, start: Start) -> None:
    bookmarks, lane = FakeBookmarks(), str(bus.lane)
    reader = start(bookmarks=bookmarks)
    await until(lambda: bus.subscribed, "the subscription")
    await bus.publish_frames(*range(1, PREFETCH + 100))
    assert await take(reader, 1) == [1]
    live = reader._live
    assert live is not None
    assert live.behind > 0
    await live.stop()
    delivered = await drain(reader)
    await reader.save_bookmark()
    frontier, beyond = bookmarks.saved[-1]
    processed = {*range(1, frontier[lane] + 1), *(bar.seq for bar in beyond)}
    assert processed <= {1, *delivered}
    assert delivered[-1] < PREFETCH + 99
