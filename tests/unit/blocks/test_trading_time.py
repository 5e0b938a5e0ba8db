import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.blocks import empty_block
from lean_lite.blocks.trading_time import bucket_starts, regular_session_mask
from lean_lite.market.symbols import asset_class_of
from lean_lite.market.time_buckets import TimeBuckets, overlaps_regular_session
from tests.harness.bars import MINUTE_NS, Row, block_of

LENGTH_S = 14_400
rows = st.lists(
    st.builds(
        lambda symbol, minute: Row(symbol).at(minute),
        st.sampled_from(["SPY", "AAPL", "BTC/USD", "ETH/USD", "EUR/USD"]),
        st.integers(-5_000, 5_000),
    ),
    max_size=12,
)


@given(rows)
def test_every_bar_uses_the_trading_hours_of_its_asset_class(bars: list[Row]) -> None:
    block = block_of(bars)
    assert bucket_starts(block, LENGTH_S).tolist() == [
        TimeBuckets(asset_class_of(bar.symbol), LENGTH_S).start(bar.start_ns) for bar in bars
    ]
    alone = [
        overlaps_regular_session(asset_class_of(bar.symbol), start_ns, start_ns + MINUTE_NS)[0]
        for bar in bars
        for start_ns in [np.array([bar.start_ns])]
    ]
    assert regular_session_mask(block).tolist() == alone


def test_a_symbol_without_rows_does_not_matter() -> None:
    block = block_of([Row("EUR/USD"), Row("SPY")]).take(slice(1, None))
    assert regular_session_mask(block).tolist() == [False]  # Thanksgiving


def test_an_empty_block_has_empty_results() -> None:
    assert regular_session_mask(empty_block("iex")).tolist() == []
    assert bucket_starts(empty_block("iex"), LENGTH_S).tolist() == []
