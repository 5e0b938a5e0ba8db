"""Graded bars made of random numbers, and how to compare them with what was stored."""

from pathlib import Path

import numpy as np

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from lean_lite.config import AlpacaConfig
from lean_lite.market.symbols import asset_class_of
from lean_lite_store.journal import read_journal

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
    """The GRADED sequence of every journaled row."""
    return [seq for block in read_journal(path) for seq in block["seq"].tolist()]
