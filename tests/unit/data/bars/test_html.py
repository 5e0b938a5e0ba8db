import re

import numpy as np
import pytest

from lean_lite.blocks import empty_block
from lean_lite.data.bars import Bars
from lean_lite.data.bars.bars import ROWS_SHOWN
from lean_lite.data.bars.html import html_table
from lean_lite.protocol.history import Gap
from tests.harness.bars import Row, block_of


def bars_of(count: int) -> Bars:
    return Bars(block_of([Row(close=float(minute)).at(minute) for minute in range(count)]))


def cells(html: str) -> list[list[str]]:
    """Return the cells of every row but the header."""
    rows = re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2])
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def caption(html: str) -> str:
    (found,) = re.findall(r"<caption>(.*?)</caption>", html)
    return str(found)


def test_a_table_has_one_row_per_bar() -> None:
    block = block_of([Row("BTC/USD", open=67_123.45, volume=1_234_567.0), Row(close=0.1 + 0.2)])
    graded = Bars(
        block.with_columns(level=np.array([4, 2], "|u1")), partial=np.array([False, True])
    )
    assert cells(graded._repr_html_()) == [
        ["2026-11-26 14:30:00", "BTC/USD", "67123.45", "101", "99", "100.5", "1234567", "1"],
        ["2026-11-26 14:30:00", "SPY", "100", "101", "99", "0.3", "1000", "0.75 partial"],
    ]


def test_an_ungraded_bar_has_no_quality() -> None:
    bars = Bars(block_of([Row(), Row().at(1)]), partial=np.array([False, True]))
    assert [row[-1] for row in cells(bars._repr_html_())] == ["", "partial"]


@pytest.mark.parametrize("count", [0, 1, ROWS_SHOWN - 1, ROWS_SHOWN])
def test_few_bars_are_all_shown(count: int) -> None:
    closes = [row[5] for row in cells(bars_of(count)._repr_html_())]
    assert closes == [str(minute) for minute in range(count)]


@pytest.mark.parametrize(
    ("shown", "closes"),
    [
        (10, ["0", "1", "2", "3", "4", "… 90 more …", "95", "96", "97", "98", "99"]),
        (3, ["0", "… 98 more …", "99"]),
        (1, ["… 100 more …"]),
    ],
)
def test_only_the_first_and_last_of_many_bars_are_shown(shown: int, closes: list[str]) -> None:
    rows = cells(html_table(bars_of(100), shown))
    assert [row[5] if len(row) > 1 else row[0] for row in rows] == closes


def test_the_caption_has_completeness_and_gaps() -> None:
    assert caption(bars_of(3)._repr_html_()) == "SPY: 3 minute bars"
    gap = Gap("SPY", 1, 2, "not served")
    crypto = Bars(block_of([Row("BTC/USD")]), (gap,), expected=8)
    assert caption(crypto._repr_html_()) == (
        "BTC/USD: 1 minute bars, 12.5% of regular trading, 1 gap"
    )
    assert caption(Bars(crypto.block, (gap, gap))._repr_html_()).endswith(", 2 gaps")
    assert caption(Bars(empty_block("iex"))._repr_html_()) == "no symbol: 0 minute bars"


def test_the_caption_of_a_slice_has_no_completeness() -> None:
    whole = Bars(block_of([Row("BTC/USD").at(minute) for minute in range(4)]), expected=8)
    assert caption(whole._repr_html_()) == "BTC/USD: 4 minute bars, 50.0% of regular trading"
    assert caption(whole[-2:]._repr_html_()) == "BTC/USD: 2 minute bars"


def test_symbols_are_escaped() -> None:
    html = Bars(block_of([Row("<script>alert(1)</script>"), Row("A&B")]))._repr_html_()
    assert "<script>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert html.count("A&amp;B") == 2


def test_a_table_of_many_symbols_is_short() -> None:
    many = Bars(block_of([Row(f"SYMBOL{number}") for number in range(5_000)]))
    assert len(many._repr_html_()) < 3_000
