"""Reply to `md.history`: stored bars of some symbols and a span, as one snapshot."""

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
from lean_lite_store.serving.read_through import NOTHING_MISSING, ReadThrough
from lean_lite_store.storage.day_store import DayStore
from lean_lite_store.storage.series import Series, requested_feed


class DayPart(NamedTuple):
    """Bars of one day at one revision of it; `newest_ns` counts filtered rows too."""

    revision: int
    newest_ns: dict[Series, int]
    blocks: dict[Series, Block]


class EncodedChunks(Sequence[bytes]):
    """Blocks that are encoded when they are sent, so that a large reply never blocks the loop."""

    def __init__(self, blocks: Sequence[Block]) -> None:
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
            return EncodedChunks(self._blocks[index])
        return encode_block(self._blocks[index])


class HistoryServer:
    """
    Replies to history requests.

    A request without a feed means the account's feed. When the account has none of a symbol's asset
    class and several feeds have the symbol, the one with the newest bar in the span is chosen;
    simulated and real bars count as different feeds. `end_seq` returns where the stream of
    `applied` ends now.
    """

    def __init__(
        self,
        days: DayStore,
        applied: AppliedPositions,
        read_through: ReadThrough,
        config: Config,
        end_seq: Callable[[], Awaitable[int]],
    ) -> None:
        self._days = days
        self._applied = applied
        self._read_through = read_through
        self._config = config.store
        self._alpaca = config.alpaca
        self._end_seq = end_seq

    async def on_request(self, request: HistoryRequest) -> ChunkedReply:
        """
        Reply with at most 4,096 rows of one symbol per chunk.

        Without symbols the reply only says where the stream ends. Busy when that, or `min_seq`, is
        not reached in time; RequestError `too-large` for more rows than `reply_rows`, `unreadable`
        when the file can't be read.
        """
        outcome = "refused"
        try:
            reply = await self._reply(request)
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
        return reply

    async def _reply(self, request: HistoryRequest) -> ChunkedReply:
        await self._wait_for_min_seq(request)
        fetched = (
            NOTHING_MISSING
            if request.wait_s is None
            else await self._read_through.fetch_missing(request)
        )
        if fetched.done < 1 and request.wait_s:
            return ChunkedReply(HistoryReply(self._applied.through, 0, 0, fetched.done))
        parts: dict[int, DayPart] = {}
        while stale := self._stale(request, parts):
            for day in stale:
                async with self._days.loaded([day]):
                    parts[day] = self._read_day(request, day)
                self._check_size(parts)
        # No await since the revisions were compared: all parts are of one instant.
        blocks = [
            joined.take(slice(first, first + ROWS_MAX))
            for joined in _blocks_by_symbol(request, parts)
            for first in range(0, len(joined), ROWS_MAX)
        ]
        rows = sum(map(len, blocks))
        through = self._applied.through
        head = HistoryReply(through, rows, len(blocks), fetched.done, fetched.gaps)
        return ChunkedReply(head, EncodedChunks(blocks))

    async def _wait_for_min_seq(self, request: HistoryRequest) -> None:
        wanted = max(request.min_seq.values(), default=0)
        if not request.symbols:
            # A client that starts here needs the end of the stream, not this replica's position.
            wanted = max(wanted, await self._end_seq())
        await self._applied.wait_for(wanted, self._config.wait_s)

    def _stale(self, request: HistoryRequest, parts: dict[int, DayPart]) -> list[int]:
        """Return the days of the span that are not read yet, or have changed since."""
        if not request.symbols or request.start_ns >= request.end_ns:
            return []
        first, last = request.start_ns // DAY_NS, (request.end_ns - 1) // DAY_NS
        return [
            day
            for day in self._days.days()
            if first <= day <= last
            and (day not in parts or parts[day].revision != self._days.revision(day))
        ]

    def _read_day(self, request: HistoryRequest, day: int) -> DayPart:
        part = DayPart(self._days.revision(day), {}, {})
        start_ns = max(request.start_ns, day * DAY_NS)
        end_ns = min(request.end_ns, (day + 1) * DAY_NS)
        for symbol in dict.fromkeys(request.symbols):
            after = request.after.get(str(lane_of(symbol)))
            feed = requested_feed(request, symbol, self._alpaca)
            for series in self._days.series(symbol, request.resolution_s, day):
                if feed not in ("", series.source.feed):
                    continue
                block = self._days.read(series, start_ns, end_ns)
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
                f"the reply would have more than {self._config.reply_rows} rows: "
                "request a shorter span or fewer symbols at a time"
            )
            raise RequestError(code, message)


def _blocks_by_symbol(request: HistoryRequest, parts: dict[int, DayPart]) -> list[Block]:
    """Return one block per symbol, in the requested order, of the source with the newest bar."""
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
