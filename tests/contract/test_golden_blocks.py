"""
Golden bytes: blocks and messages are encoded as in earlier versions, and decode their bytes.

The bytes of a file in `golden` never change: streams and stores hold such bytes. A message that
gains a field with a default gets a new file beside its old one.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lean_lite.blocks import (
    BAR,
    KINDS,
    QUOTE,
    Block,
    Origin,
    decode_block,
    empty_block,
    encode_block,
    from_quotes,
)
from lean_lite.bus.connection import encode
from lean_lite.model import QuoteBar
from lean_lite.model.timestamps import from_ns
from lean_lite.protocol import Event
from tests.harness.bars import MESSAGES, MINUTE_NS, NINE_THIRTY_NS, Row, block_of

GOLDEN = Path(__file__).with_name("golden")
OHLC = ("open", "high", "low", "close")

RAW = block_of(
    [
        Row(),
        Row("BRK.B", origin=Origin.UPDATED, vwap=float("nan"), trade_count=-1),
        Row("SPY", origin=Origin.BACKFILL, received_ns=1_795_790_000_000_000_001).at(1),
    ]
)
GRADED = RAW.with_columns(
    level=np.array([4, 0, 1], "|u1"), reasons=np.array([0, 1, 2**63 + 256], "<u8")
)
BLOCKS = {
    "block_raw": RAW,
    "block_raw_simulated": block_of([Row("BTC/USD")], feed="us", simulated=True),
    "block_graded": GRADED,
    "block_stored": GRADED.with_columns(
        seq=np.array([7, 8, 9], "<i8"), stored_ns=np.array([1, 2, 3], "<i8")
    ),
    "block_empty": empty_block(""),
    "block_quotes": from_quotes(
        [
            QuoteBar(
                "SPY", from_ns(NINE_THIRTY_NS), 1.0, 4.0, 0.5, 2.0, 3.0, 5.0, 2.5, 4.0, 6.0, 7.0
            )
        ],
        feed="sip",
        origin=Origin.LIVE,
        received_ns=NINE_THIRTY_NS + MINUTE_NS,
    ),
}
# Bytes from before a message gained a field: they are decoded, and no longer encoded.
EARLIER_VERSIONS = {
    "history_request",
    "history_request_of_defaults",
    "history_reply",
    "subscribe_reply",
    "subscribe_reply_of_defaults",
    "bookmark",
    "heartbeat",
    "heartbeat_of_defaults",
}
COLUMNS = [
    ("symbol", "<u2"),
    ("start_ns", "<i8"),
    ("origin", "|u1"),
    ("received_ns", "<i8"),
    ("open", "<f8"),
    ("high", "<f8"),
    ("low", "<f8"),
    ("close", "<f8"),
    ("volume", "<f8"),
    ("vwap", "<f8"),
    ("trade_count", "<i8"),
    ("level", "|u1"),
    ("reasons", "<u8"),
    ("seq", "<i8"),
    ("stored_ns", "<i8"),
]
QUOTE_COLUMNS = [f"{side}_{price}" for side in ("bid", "ask") for price in OHLC]
QUOTE_COLUMNS += ["bid_size", "ask_size"]


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def facts(block: Block) -> tuple[Any, ...]:
    columns = {name: (column.dtype.str, column.tobytes()) for name, column in block.columns.items()}
    return block.kind, block.resolution, block.feed, block.symbols, block.simulated, columns


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_encoded_as_before(name: str) -> None:
    assert encode_block(BLOCKS[name]).hex() == golden(name).hex()


@pytest.mark.parametrize("name", BLOCKS)
def test_an_earlier_block_is_decoded(name: str) -> None:
    assert facts(decode_block(golden(name))) == facts(BLOCKS[name])


def test_names_types_and_order_of_columns_never_change() -> None:
    assert list(BAR.columns.items()) == COLUMNS
    assert list(BAR.required.items()) == COLUMNS[:11]
    assert [name for name in QUOTE.columns if name not in BAR.columns] == QUOTE_COLUMNS
    assert {QUOTE.columns[name] for name in QUOTE_COLUMNS} == {"<f8"}
    assert list(KINDS) == ["bar", "quote"]


def test_numbers_of_origins_never_change() -> None:
    numbers = {origin.name: origin.value for origin in Origin}
    assert numbers == {"LIVE": 0, "UPDATED": 1, "BACKFILL": 2, "CUSTOM": 3}


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - EARLIER_VERSIONS))
def test_a_message_is_encoded_as_before(name: str) -> None:
    assert encode(MESSAGES[name]).hex() == golden(name).hex()


@pytest.mark.parametrize("name", MESSAGES)
def test_an_earlier_message_is_decoded(name: str) -> None:
    expected = MESSAGES[name]
    assert msgspec.msgpack.decode(golden(name), type=type(expected)) == expected


@pytest.mark.parametrize("name", ["feed_event", "gap_event"])
def test_an_earlier_event_is_decoded_by_its_tag(name: str) -> None:
    assert msgspec.msgpack.decode(golden(name), type=Event) == MESSAGES[name]


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {*BLOCKS, *MESSAGES}
