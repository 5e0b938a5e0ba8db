import numpy as np
import pandas as pd
import pytest

from lean_lite.blocks import empty_block
from lean_lite.data.bars import Bars
from tests.harness.bars import NINE_THIRTY_NS, Row, block_of

NAN = float("nan")
DTYPES = {
    **dict.fromkeys(["open", "high", "low", "close", "volume", "vwap"], "float64"),
    "trade_count": "Int64",
    "quality": "float64",
    "partial": "bool",
}


def frame_of(*rows: Row) -> pd.DataFrame:
    return Bars(block_of(rows)).to_df()


def test_the_index_is_the_start_in_utc() -> None:
    index = frame_of(Row(), Row().at(1)).index
    assert isinstance(index, pd.DatetimeIndex)
    assert (index.name, str(index.dtype)) == ("timestamp", "datetime64[ns, UTC]")
    assert index.asi8.tolist() == [NINE_THIRTY_NS, NINE_THIRTY_NS + 60 * 10**9]
    assert index[0] == pd.Timestamp("2026-11-26 14:30", tz="UTC")


@pytest.mark.parametrize("rows", [[], [Row(), Row("AAPL")]])
def test_columns_have_the_same_types_with_and_without_bars(rows: list[Row]) -> None:
    frame = frame_of(*rows)
    assert list(frame.columns) == ["symbol", *DTYPES]
    assert {name: str(frame[name].dtype) for name in DTYPES} == DTYPES
    assert frame["symbol"].dtype == pd.Series(["SPY"]).dtype
    assert frame["symbol"].tolist() == [row.symbol for row in rows]
    assert len(Bars(empty_block("iex")).to_df().index) == 0


def test_values_are_those_of_the_bars() -> None:
    frame = frame_of(Row(), Row("AAPL", open=1.0, volume=0.0, trade_count=0).at(1))
    assert frame["open"].tolist() == [100.0, 1.0]
    assert frame["volume"].tolist() == [1_000.0, 0.0]
    assert frame["vwap"].tolist() == [100.25, 100.25]
    assert frame["trade_count"].tolist() == [10, 0]


def test_vwap_and_trade_count_are_missing_where_the_feed_has_none() -> None:
    frame = frame_of(Row(vwap=NAN, trade_count=-1), Row(trade_count=3).at(1))
    assert frame["vwap"].isna().tolist() == [True, False]
    assert frame["trade_count"].isna().tolist() == [True, False]
    assert frame["trade_count"].sum() == 3


def test_quality_and_partial_are_columns() -> None:
    block = block_of([Row(), Row().at(1)])
    graded = Bars(
        block.with_columns(level=np.array([4, 1], "|u1")), partial=np.array([True, False])
    )
    assert graded.to_df()["quality"].tolist() == [1.0, 0.5]
    assert graded.to_df()["partial"].tolist() == [True, False]
    assert Bars(block).to_df()["quality"].isna().all()


def test_the_dataframe_of_a_slice_is_a_slice_of_the_dataframe() -> None:
    bars = Bars(block_of([Row("AAPL"), Row("SPY").at(1), Row("SPY", trade_count=-1).at(2)]))
    pd.testing.assert_frame_equal(bars[1:].to_df(), bars.to_df().iloc[1:])


def test_to_df_returns_a_copy() -> None:
    bars = Bars(block_of([Row()]))
    frame = bars.to_df()
    frame.loc[:, "close"] = 0.0
    frame.iloc[0, 1] = 7.0
    frame["volume"] /= 2.0
    frame.loc[:, "trade_count"] = 0
    frame.loc[:, "partial"] = True
    assert frame[["open", "close", "volume"]].to_numpy().tolist() == [[7.0, 0.0, 500.0]]
    assert frame["partial"].all()
    assert bars[0] == next(block_of([Row()]).bars())
    assert bars.partial.tolist() == [False]


def test_to_df_of_read_only_bars_is_writable() -> None:
    block = block_of([Row()])
    for column in block.columns.values():
        column.flags.writeable = False
    frame = Bars(block).to_df()
    frame.loc[:, "close"] = 0.0
    frame.loc[:, "trade_count"] = 0
    assert frame[["close", "trade_count"]].to_numpy().tolist() == [[0.0, 0]]
