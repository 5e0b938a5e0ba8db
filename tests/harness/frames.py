"""RAW frames in any number, the same for the same seed."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from nats.errors import Error as NatsError

from lean_lite.blocks import Block, Origin, empty_block, encode_block
from lean_lite.blocks.block import from_columns
from lean_lite.bus import Bus
from lean_lite.config import AlpacaConfig
from lean_lite.market.symbols import asset_class_of
from lean_lite.protocol import subjects
from lean_lite.protocol.headers import MARKER, MSG_ID, WALL
from lean_lite.protocol.partitions import lane_of
from lean_lite_store.storage.database import open_reader
from lean_lite_store.storage.journal import read_journal
from tests.harness.waiting import until

MINUTE_NS = 60_000_000_000
OPEN_NS = 20_000 * 86_400_000_000_000 + 14 * 3_600_000_000_000
SYMBOLS = ("AAPL", "MSFT", "SPY", "BRK.B", "NVDA", "TSLA", "BTC/USD", "ETH/USD")


class RawFrame(NamedTuple):
    """Hold a frame before it is published."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]


def feed_of(symbol: str) -> str:
    """Return the account's feed of a symbol."""
    return AlpacaConfig().feed_of(asset_class_of(symbol))


def bars(
    symbol: str,
    minutes: Iterable[int],
    *,
    invalid: Iterable[int] = (),
    origin: Origin = Origin.LIVE,
    feed: str = "",
) -> Block:
    """Return plausible bars of these minutes; those of `invalid` have a high below their low."""
    numbers = np.array(list(minutes))
    rng = [np.random.default_rng([*symbol.encode(), number]) for number in numbers.tolist()]
    opened = np.array([100 + one.integers(0, 500) / 100 for one in rng])
    close = np.array([100 + one.integers(0, 500) / 100 for one in rng])
    high, low = np.maximum(opened, close) + 0.25, np.minimum(opened, close) - 0.25
    wrong = np.isin(numbers, list(invalid))
    high, low = np.where(wrong, low, high), np.where(wrong, high, low)
    starts = OPEN_NS + numbers * MINUTE_NS
    return from_columns(
        feed or feed_of(symbol),
        [symbol] * len(numbers),
        {
            "start_ns": starts,
            "origin": np.full(len(numbers), origin),
            "received_ns": starts + MINUTE_NS + 400_000_000,
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": np.array([float(one.integers(100, 9_999)) for one in rng]),
            "vwap": np.full(len(numbers), np.nan),
            "trade_count": np.full(len(numbers), -1),
        },
    )


def raw_frame(symbol: str, block: Block) -> RawFrame:
    subject = subjects.raw(block.feed, lane_of(symbol))
    return RawFrame(subject, encode_block(block), {WALL: "1"})


def marker(symbol: str) -> RawFrame:
    frame = raw_frame(symbol, empty_block(feed_of(symbol)))
    return frame._replace(headers={MARKER: "1"})


def undecodable(symbol: str, payload: bytes = b"\xc1 no block") -> RawFrame:
    return raw_frame(symbol, empty_block(feed_of(symbol)))._replace(payload=payload)


def some_frames(seed: int = 1, symbols: tuple[str, ...] = SYMBOLS) -> Iterator[RawFrame]:
    """Yield frames without end: good bars, bad bars, repeats, markers and undecodable bytes."""
    chance = random.Random(seed)
    minutes = dict.fromkeys(symbols, 0)
    while True:
        symbol = chance.choice(symbols)
        kind = chance.random()
        if kind < 0.04:
            yield marker(symbol)
            continue
        if kind < 0.08:
            yield undecodable(symbol, chance.randbytes(chance.randrange(40)))
            continue
        first = minutes[symbol]
        if kind < 0.2:
            first = max(first - chance.randrange(1, 20), 0)
        count = chance.randrange(1, 8)
        wrong = [first + chance.randrange(count)] if chance.random() < 0.2 else []
        minutes[symbol] = max(minutes[symbol], first + count)
        yield raw_frame(symbol, bars(symbol, range(first, first + count), invalid=wrong))


class Feeder:
    """Stand in for ingest: publish RAW frames one after the other, each once."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.published: list[RawFrame] = []
        self.seqs: list[int] = []

    async def publish(self, *frames: RawFrame) -> None:
        for frame in frames:
            number = len(self.published)
            headers = {**frame.headers, MSG_ID: f"test:{number}"}

            async def acknowledged(
                frame: RawFrame = frame, headers: dict[str, str] = headers
            ) -> int:
                try:
                    ack = await self.bus.jetstream.publish(
                        frame.subject, frame.payload, timeout=2, headers=headers
                    )
                except (NatsError, OSError):
                    return 0
                return ack.seq

            seq = await until(acknowledged, f"the acknowledgement of frame {number}")
            self.published.append(frame)
            self.seqs.append(seq)

    @asynccontextmanager
    async def publishing(
        self, frames: Iterator[RawFrame], pause_s: float = 0.002
    ) -> AsyncIterator[None]:
        """Publish in the background; at the end, every frame that was sent is acknowledged."""
        stopped = asyncio.Event()

        async def publish() -> None:
            while not stopped.is_set():
                await self.publish(next(frames))
                await asyncio.sleep(pause_s)

        work = asyncio.create_task(publish())
        try:
            yield
        finally:
            stopped.set()
            await work

    async def bars(self, symbol: str, minutes: Iterable[int]) -> None:
        await self.publish(raw_frame(symbol, bars(symbol, minutes)))


DAY_NS = 86_400_000_000_000
DAY = 20_000
OPEN_NS = DAY * DAY_NS + 14 * 3_600_000_000_000
MINUTE_NS = 60_000_000_000


def some_bars(
    symbol: str,
    minutes: range,
    *,
    seed: int = 0,
    level: int = 4,
    origin: int = 0,
    feed: str = "",
    start_ns: int = OPEN_NS,
) -> Block:
    rng = np.random.default_rng([seed, *symbol.encode(), minutes.start])
    rows = len(minutes)
    values = {name: rng.random(rows) * 100 for name in ("open", "high", "low", "close", "volume")}
    block = from_columns(
        feed or AlpacaConfig().feed_of(asset_class_of(symbol)),
        [symbol] * rows,
        {
            "start_ns": start_ns + np.array(minutes) * MINUTE_NS,
            "origin": np.full(rows, origin),
            "received_ns": start_ns + np.array(minutes) * MINUTE_NS + 61 * 10**9,
            "vwap": np.where(rng.random(rows) < 0.2, np.nan, rng.random(rows)),
            "trade_count": rng.integers(-1, 99, rows),
            **values,
        },
    )
    return block.with_columns(
        level=np.full(rows, level, "|u1"), reasons=rng.integers(0, 2, rows).astype("<u8")
    )


def same_bits(stored: Block, sent: Block) -> bool:
    return stored.symbol_names == sent.symbol_names and all(
        stored[name].tobytes() == sent[name].tobytes() for name in sent.columns if name != "symbol"
    )


def seqs(path: Path) -> list[int]:
    """Return the GRADED sequence of every journaled row."""
    return [seq for block in read_journal(path) for seq in block["seq"].tolist()]


def count_stored(path: Path) -> int:
    """Return how many bars and revisions a store file holds, repeats and INVALID rows left out."""
    with closing(open_reader(path)) as connection:
        if not connection.table_exists(None, "journal"):
            return 0  # the store has just created the file
        count = connection.execute("SELECT coalesce(sum(bars), 0) FROM journal").get
    return int(count)
