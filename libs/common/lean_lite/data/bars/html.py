"""Bars as a table of HTML."""

from collections.abc import Iterator
from html import escape

from lean_lite.data.bars.bars import Bars, format_symbols
from lean_lite.model import TradeBar

HEAD = ("start (UTC)", "symbol", "open", "high", "low", "close", "volume", "quality")


def html_table(bars: Bars, rows_shown: int) -> str:
    """Return the first and the last bars as a table, with what is left out and what is missing."""
    half = rows_shown // 2
    whole = len(bars) <= rows_shown
    rows = [*_rows(bars if whole else bars[:half])]
    if not whole:
        rows.append(f'<tr><td colspan="{len(HEAD)}">… {len(bars) - 2 * half} more …</td></tr>')
        rows += _rows(bars[len(bars) - half :])
    head = "".join(f"<th>{escape(name)}</th>" for name in HEAD)
    return (
        f"<table><caption>{escape(_caption(bars))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _caption(bars: Bars) -> str:
    caption = f"{format_symbols(bars.symbols)}: {len(bars)} {bars.resolution.value} bars"
    if bars.expected:
        caption += f", {bars.completeness:.1%} of regular trading"
    if bars.gaps:
        caption += f", {len(bars.gaps)} gap{'s' if len(bars.gaps) > 1 else ''}"
    return caption


def _rows(bars: Bars) -> Iterator[str]:
    for bar, score, partial in zip(bars, bars.quality, bars.partial, strict=True):
        quality = "" if score != score else f"{score:g}"  # noqa: PLR0124 - NaN: not graded
        cells = [*_cells(bar), f"{quality} partial".strip() if partial else quality]
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _cells(bar: TradeBar) -> list[str]:
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return [
        f"{bar.timestamp:%Y-%m-%d %H:%M:%S}",
        bar.symbol,
        *(f"{value:.12g}" for value in numbers),
    ]
