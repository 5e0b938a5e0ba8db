"""Block to HTML table, for notebooks."""

from collections.abc import Iterator
from html import escape
from math import isnan

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask, format_symbols
from lean_lite.model import TradeBar

COLUMNS = ("start (UTC)", "symbol", "open", "high", "low", "close", "volume", "quality")


def html_table(
    block: Block, partial: Mask, *, completeness: float, gaps: int, rows_shown: int
) -> str:
    """
    Render the first and last bars of a block as a table.

    The caption has the symbols, `completeness` (a share; NaN leaves it out) and the number of
    `gaps`. Of more than `rows_shown` bars the middle ones are replaced by their number.
    """
    count = len(block)
    if count <= rows_shown:
        rows = [*_rows(block, partial, slice(None))]
    else:
        half = rows_shown // 2
        left_out = f'<tr><td colspan="{len(COLUMNS)}">… {count - 2 * half} more …</td></tr>'
        first, last = slice(half), slice(count - half, None)
        rows = [*_rows(block, partial, first), left_out, *_rows(block, partial, last)]
    header = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    return (
        f"<table><caption>{escape(_caption(block, completeness, gaps))}</caption>"
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _caption(block: Block, completeness: float, gaps: int) -> str:
    symbols = format_symbols(block.symbols_with_rows)
    caption = f"{symbols}: {len(block)} {block.resolution.value} bars"
    if not isnan(completeness):
        caption += f", {completeness:.1%} of regular trading"
    if gaps:
        caption += f", {gaps} gap{'s' if gaps > 1 else ''}"
    return caption


def _rows(block: Block, partial: Mask, rows: slice) -> Iterator[str]:
    shown = block.take(rows)
    scores = shown.scores.tolist()
    for bar, score, is_partial in zip(shown.bars(), scores, partial[rows], strict=True):
        quality = "" if isnan(score) else f"{score:g}"
        cells = [*_cells(bar), f"{quality} partial".strip() if is_partial else quality]
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _cells(bar: TradeBar) -> list[str]:
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return [
        f"{bar.timestamp:%Y-%m-%d %H:%M:%S}",
        bar.symbol,
        *(f"{value:.12g}" for value in numbers),
    ]
