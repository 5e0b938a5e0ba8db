"""Bars for the tests of indicators: recorded ones, and any that hypothesis thinks of."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from lean_lite.blocks.block import from_columns
from lean_lite.data.bars import Bars
from lean_lite.model import TradeBar
from lean_lite.model.timestamps import SECOND_NS, from_ns
from lean_lite_sim.market.recordings import load_recorded_symbol

RECORDED = ("AAPL", "SPY", "BTC/USD")
NINE_THIRTY_NS = 1_772_461_800 * SECOND_NS  # 2026-03-02 14:30 UTC, a week before clocks change
MINUTE_NS = 60 * SECOND_NS

Floats = npt.NDArray[np.float64]


@cache
def recorded(symbol: str) -> Bars:
    """Return the recorded minutes of a symbol, which lie on trading days of 2025."""
    rows = load_recorded_symbol(symbol, date(2026, 1, 1)).bars
    return bars_of(
        symbol,
        start_ns=[row.start_ns for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in ("open", "high", "low")},
        close=[row.close for row in rows],
        volume=[row.volume for row in rows],
    )


def bars_of(symbol: str = "SPY", **columns: Any) -> Bars:
    """Return bars of columns; of those that are not given, prices are the close."""
    close = columns["close"]
    rows = len(close)
    given = {
        "start_ns": NINE_THIRTY_NS + MINUTE_NS * np.arange(rows),
        "origin": np.zeros(rows),
        "received_ns": np.zeros(rows),
        "open": close,
        "high": close,
        "low": close,
        "volume": np.ones(rows),
        "vwap": np.full(rows, np.nan),
        "trade_count": np.ones(rows),
    }
    return Bars(from_columns("", [symbol] * rows, given | columns))


def bar(close: float, minute: int = 0, symbol: str = "SPY", **changes: Any) -> TradeBar:
    start = from_ns(NINE_THIRTY_NS + minute * MINUTE_NS)
    prices = {"open": close, "high": close, "low": close, "close": close, "volume": 1.0}
    return TradeBar(symbol, start, **(prices | changes))


def live(indicator: Any, bars: Sequence[TradeBar]) -> Floats:
    """Return the lines that come bar by bar, as columns."""
    return np.array([_flat(indicator.update(one)) for one in bars]).reshape(len(bars), -1)


def whole(indicator: Any, bars: Sequence[TradeBar]) -> Floats:
    """Return the lines over history, as columns."""
    return as_columns(indicator.over(bars))


def as_columns(lines: Any) -> Floats:
    """Return one or more lines as the columns of one table."""
    return np.atleast_2d(np.array(_flat(lines))).T


def _flat(lines: Any) -> Any:
    return list(lines.values()) if isinstance(lines, dict) else lines


prices = st.floats(0.01, 1e5)
STRANGE = st.sampled_from([0.0, -37.63, np.nan, np.inf, -np.inf, 1e149, 1e200, -1.7e308])
volumes = st.just(0.0) | st.floats(1e-8, 1e9)
# A revision, the next minute, a pause, the next day, the next week.
STEPS = st.sampled_from([0, 0, 1, 1, 1, 7, 400, 1_440, 10_080])


@st.composite
def streams(
    draw: st.DrawFn, strange: st.SearchStrategy[float] | None = None, max_size: int = 40
) -> list[TradeBar]:
    """Return bars as they come live: in order of start, the last one sometimes once more."""
    symbol = draw(st.sampled_from(["SPY", "BTC/USD", "EUR/USD"]))
    values = prices if strange is None else st.one_of(prices, prices, prices, strange)
    amounts = volumes if strange is None else st.one_of(volumes, volumes, strange)
    minute, stream = 0, []
    for step in draw(st.lists(STEPS, min_size=1, max_size=max_size)):
        minute += step
        stream.append(
            bar(
                draw(values),
                minute,
                symbol,
                high=draw(values),
                low=draw(values),
                volume=draw(amounts),
                vwap=draw(st.none() | values),
            )
        )
    return stream
