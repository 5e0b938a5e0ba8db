"""Bars, blocks and messages for tests: by hand, and as hypothesis strategies."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from hypothesis import strategies as st

from lean_lite.blocks import BAR, Block, Origin
from lean_lite.blocks.block import from_columns
from lean_lite.blocks.schema import GRADES, STORED
from lean_lite.model import Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, from_ns
from lean_lite.protocol import (
    BackfillReply,
    BackfillRequest,
    Bookmark,
    DeliveredBar,
    FeedEvent,
    Gap,
    GapEvent,
    Heartbeat,
    HistoryReply,
    HistoryRequest,
    Interest,
    LiveBar,
    Sample,
    StartPosition,
    SubscribeReply,
    SubscribeRequest,
    Watermark,
)

MINUTE_NS = 60 * SECOND_NS
NINE_THIRTY_NS = 1_795_703_400 * SECOND_NS  # 2026-11-26 14:30 UTC


class Row(NamedTuple):
    symbol: str = "SPY"
    start_ns: int = NINE_THIRTY_NS
    open: float = 100.0
    high: float = 101.0
    low: float = 99.0
    close: float = 100.5
    volume: float = 1_000.0
    vwap: float = 100.25
    trade_count: int = 10
    origin: int = Origin.LIVE
    received_ns: int | None = None

    def at(self, minute: int) -> "Row":
        return self._replace(start_ns=NINE_THIRTY_NS + minute * MINUTE_NS)

    def flat(self, price: float, volume: float = 0.0) -> "Row":
        return self._replace(
            open=price, high=price, low=price, close=price, vwap=price, volume=volume
        )


def block_of(rows: Sequence[Row], *, feed: str = "iex", simulated: bool = False) -> Block:
    """Return rows as a block; a row without `received_ns` was received at the end of its bar."""
    columns: dict[str, Any] = {name: [getattr(r, name) for r in rows] for name in Row._fields}
    symbols = columns.pop("symbol")
    columns["received_ns"] = [
        row.start_ns + MINUTE_NS if row.received_ns is None else row.received_ns for row in rows
    ]
    return from_columns(feed, symbols, columns, simulated=simulated)


def live_bar(**changes: Any) -> LiveBar:
    values: dict[str, Any] = {
        "symbol": "SPY",
        "start_ns": NINE_THIRTY_NS,
        "open": 100.0,
        "high": 101.0,
        "low": 99.0,
        "close": 100.5,
        "volume": 1_000.0,
        "level": 4,
        "seq": 7,
        "feed": "iex",
        "wall_ns": 0,
    }
    return LiveBar(**(values | changes))


MESSAGES: dict[str, msgspec.Struct] = {
    "live_bar": live_bar(
        vwap=100.25, trade_count=10, reasons=256, origin=2, late=True, simulated=True
    ),
    "live_bar_of_defaults": live_bar(),
    "watermark": Watermark(9, 7, {"SPY": 2, "BRK.B": 1}),
    "watermark_of_no_rows": Watermark(9, 7),
    "history_request": HistoryRequest(
        ("SPY",), 1, 2, 86_400, "iex", {"equity.3": 9}, {"equity.3": 7}
    ),
    "history_request_of_defaults": HistoryRequest(),
    "history_reply": HistoryReply({"equity.3": 9, "crypto.0": 4}, 390, 1),
    "history_request_that_waits": HistoryRequest(
        ("SPY",), 1, 2, 86_400, "iex", {"equity.3": 9}, {"equity.3": 7}, 1.5
    ),
    "history_request_that_waits_by_default": HistoryRequest(),
    "history_reply_with_gaps": HistoryReply(
        {"equity.3": 9}, 390, 1, 0.5, (Gap("SPY", 1, 2, "not served"),)
    ),
    "backfill_request": BackfillRequest("SPY", 1, 2, 86_400, "iex", 0.5),
    "backfill_request_of_defaults": BackfillRequest("SPY", 1, 2),
    "backfill_reply": BackfillReply(over=True, until_ns=9, failed="not served"),
    "subscribe_request": SubscribeRequest("c0ffee", ("SPY", "BTC/USD")),
    "subscribe_reply": SubscribeReply(("SPY",), {"spy": "no symbol"}),
    "subscribe_reply_of_defaults": SubscribeReply(("SPY",)),
    "subscribe_reply_with_feeds": SubscribeReply(("SPY",), {"spy": "no symbol"}, {"SPY": "iex"}),
    "subscribe_reply_without_feeds": SubscribeReply(("SPY",)),
    "interest": Interest("BTC/USD", "us", NINE_THIRTY_NS),
    "bookmark": Bookmark("c0ffee", {"equity.3": 9}, (DeliveredBar("SPY", NINE_THIRTY_NS, 11),)),
    "bookmark_of_symbols": Bookmark(
        "c0ffee",
        {"equity.3": 9},
        (DeliveredBar("SPY", NINE_THIRTY_NS, 11),),
        {"SPY": StartPosition(7, NINE_THIRTY_NS)},
    ),
    "sample": Sample("lean_lite_ingest_published_total", {"feed": "iex"}, 12.0),
    "heartbeat": Heartbeat(
        "store",
        "store-0",
        4711,
        1,
        2,
        ("bus",),
        "http://127.0.0.1:8080",
        "0.1.0",
        (Sample("lean_lite_store_bars_total", {}, 3.0),),
    ),
    "heartbeat_of_defaults": Heartbeat("store", "store-0", 4711, 1, 2),
    "heartbeat_with_external_reason": Heartbeat(
        "ingest", "ingest-0", 4711, 1, 2, ("no line",), outside=("no line",)
    ),
    "feed_event": FeedEvent("iex", "refused", 2, "auth failed (402)"),
    "gap_event": GapEvent("iex", ("SPY",), 1, 2, "filled", 3, "reconnected"),
}


def _column(dtype: str, rows: int) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    # From bytes, so that every bit pattern occurs: all NaNs, infinities, both zeros.
    size = rows * np.dtype(dtype).itemsize
    return st.binary(min_size=size, max_size=size).map(lambda data: np.frombuffer(data, dtype))


@st.composite
def blocks(draw: st.DrawFn, max_rows: int = 5) -> Block:
    """Return any block, with or without grades and store columns."""
    rows = draw(st.integers(0, max_rows))
    symbols = draw(st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True))
    optional = draw(st.sets(st.sampled_from([*GRADES, *STORED])))
    columns = {
        name: draw(_column(dtype, rows))
        for name, dtype in BAR.columns.items()
        if name in BAR.required or name in optional
    }
    indices = st.lists(st.integers(0, len(symbols) - 1), min_size=rows, max_size=rows)
    columns["symbol"] = np.array(draw(indices), "<u2")
    return Block(
        BAR,
        draw(st.sampled_from(Resolution)),
        draw(st.text(max_size=6)),
        tuple(symbols),
        columns,
        draw(st.booleans()),
    )


_minutes = st.integers(-1_000_000, 1_000_000)
_numbers = st.floats(allow_nan=False)
trade_bars = st.builds(
    TradeBar,
    st.sampled_from(["SPY", "BRK.B", "BTC/USD"]),
    _minutes.map(lambda minute: from_ns(NINE_THIRTY_NS + minute * MINUTE_NS)),
    *[_numbers] * 5,
    st.none() | _numbers,
    st.none() | st.integers(0, 2**63 - 1),
)
