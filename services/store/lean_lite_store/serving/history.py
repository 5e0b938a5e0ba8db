"""Answer `md.history`: stored bars of some symbols and a span, as one snapshot."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, overload

import apsw

from lean_lite.blocks import Block, concat, encode_block
from lean_lite.blocks.codec import ROWS_MAX
from lean_lite.bus import ChunkedReply
from lean_lite.config import Config
from lean_lite.errors import Busy, RequestError, StoreError
from lean_lite.model.timestamps import DAY_NS
from lean_lite.protocol.history import HistoryReply, HistoryRequest
from lean_lite.protocol.partitions import lane_of
from lean_lite_store.applied import AppliedPositions
from lean_lite_store.metrics import HISTORY_REQUESTS
from lean_lite_store.serving.read_through import FETCHED, ReadThrough
from lean_lite_store.storage.day_store import DayStore
from lean_lite_store.storage.series import Series, feed_of


class DayPart(NamedTuple):
    """Hold what one day gave, at one revision of it; `newest_ns` also counts rows left out."""

    revision: int
    newest_ns: dict[Series, int]
    blocks: dict[Series, Block]


class Chunks(Sequence[bytes]):
    """Encode blocks only when they are sent, so that a large answer never stops the loop."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        """Hold blocks that nobody changes."""
        self._blocks = blocks

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._blocks)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return a chunk's bytes."""
        if isinstance(index, slice):
            return Chunks(self._blocks[index])
        return encode_block(self._blocks[index])


class HistoryServer:
    """
    Answer requests from a shelf.

    A request that names no feed means the account's. When the account has none of a symbol's asset
    class and several have the symbol, the one with the newest bar in the span is chosen for it;
    simulated and real bars count as different feeds.
    """

    def __init__(
        self,
        shelf: DayStore,
        applied: AppliedPositions,
        fetches: ReadThrough,
        config: Config,
        end_seq: Callable[[], Awaitable[int]],
    ) -> None:
        """
        Read from the shelf, bounded by `reply_rows`, after waiting `wait_s` at most.

        `end_seq` asks where the stream of `applied` ends now.
        """
        self._shelf = shelf
        self._applied = applied
        self._fetches = fetches
        self._config = config.store
        self._alpaca = config.alpaca
        self._end_seq = end_seq

    async def on_request(self, request: HistoryRequest) -> ChunkedReply:
        """
        Answer with at most 4,096 rows of one symbol per chunk.

        Without symbols it says where the stream ends. Busy when that, or `min_seq`, is not reached
        in time; RequestError `too-large` for more rows than `reply_rows`, `unreadable` when the
        file can't be read.
        """
        outcome = "refused"
        try:
            answer = await self._answer(request)
            outcome = "answered"
        except Busy:
            outcome = "busy"
            raise
        except (StoreError, apsw.Error) as error:
            outcome = "failed"
            code = "unreadable"
            raise RequestError(code, str(error)) from error
        finally:
            HISTORY_REQUESTS.labels(outcome).inc()
        return answer

    async def _answer(self, request: HistoryRequest) -> ChunkedReply:
        await self._reach(request)
        fetched = FETCHED if request.wait_s is None else await self._fetches.fetch_missing(request)
        if fetched.done < 1 and request.wait_s:
            return ChunkedReply(HistoryReply(self._applied.through, 0, 0, fetched.done))
        parts: dict[int, DayPart] = {}
        while stale := self._stale(request, parts):
            for day in stale:
                async with self._shelf.holding([day]):
                    parts[day] = self._read_day(request, day)
                self._check_size(parts)
        # Nothing waits from the last look at the revisions to here: this is one moment.
        blocks = [
            joined.take(slice(first, first + ROWS_MAX))
            for joined in _chosen(request, parts)
            for first in range(0, len(joined), ROWS_MAX)
        ]
        rows = sum(map(len, blocks))
        through = self._applied.through
        head = HistoryReply(through, rows, len(blocks), fetched.done, fetched.gaps)
        return ChunkedReply(head, Chunks(blocks))

    async def _reach(self, request: HistoryRequest) -> None:
        wanted = max(request.min_seq.values(), default=0)
        if not request.symbols:
            # Who begins here wants to know where the stream ends, not how far this replica is.
            wanted = max(wanted, await self._end_seq())
        await self._applied.wait_for(wanted, self._config.wait_s)

    def _stale(self, request: HistoryRequest, parts: dict[int, DayPart]) -> list[int]:
        """Return the days of the span that were not read, or have changed since."""
        if not request.symbols or request.start_ns >= request.end_ns:
            return []
        first, last = request.start_ns // DAY_NS, (request.end_ns - 1) // DAY_NS
        return [
            day
            for day in self._shelf.days()
            if first <= day <= last
            and (day not in parts or parts[day].revision != self._shelf.revision(day))
        ]

    def _read_day(self, request: HistoryRequest, day: int) -> DayPart:
        part = DayPart(self._shelf.revision(day), {}, {})
        start_ns = max(request.start_ns, day * DAY_NS)
        end_ns = min(request.end_ns, (day + 1) * DAY_NS)
        for symbol in dict.fromkeys(request.symbols):
            after = request.after.get(str(lane_of(symbol)))
            feed = feed_of(request, symbol, self._alpaca)
            for series in self._shelf.series(symbol, request.resolution_s, day):
                if feed not in ("", series.source.feed):
                    continue
                block = self._shelf.read(series, start_ns, end_ns)
                if len(block):
                    part.newest_ns[series] = int(block["start_ns"][-1])
                    part.blocks[series] = (
                        block if after is None else block.take(block["seq"] > after)
                    )
        return part

    def _check_size(self, parts: dict[int, DayPart]) -> None:
        rows = sum(len(block) for part in parts.values() for block in part.blocks.values())
        if rows > self._config.reply_rows:
            code = "too-large"
            message = (
                f"the answer would have more than {self._config.reply_rows} rows: "
                "ask for a shorter span or fewer symbols at a time"
            )
            raise RequestError(code, message)


def _chosen(request: HistoryRequest, parts: dict[int, DayPart]) -> list[Block]:
    """Return one block per symbol, in the order asked for, of the source with the newest bar."""
    newest: dict[str, tuple[int, Series]] = {}
    for _, part in sorted(parts.items()):
        for series, start_ns in part.newest_ns.items():
            newest[series.symbol] = max(newest.get(series.symbol, (-1, series)), (start_ns, series))
    found = []
    for symbol in dict.fromkeys(request.symbols):
        if symbol in newest:
            series = newest[symbol][1]
            days = [
                part.blocks[series] for _, part in sorted(parts.items()) if series in part.blocks
            ]
            found.append(concat(days))
    return found
