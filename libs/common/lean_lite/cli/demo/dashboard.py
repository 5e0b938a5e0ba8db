"""Show what comes in: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lean_lite.cli.demo.summary import SymbolSummary
from lean_lite.cli.tail import TailBar
from lean_lite.model.timestamps import from_ns

TERMINAL_EVERY_S = 0.25
PLAIN_EVERY_S = 1.0
COLOURS = {
    "EXCELLENT": "green",
    "GOOD": "green",
    "FAIR": "yellow",
    "POOR": "red",
    "INVALID": "bold red",
}


class Dashboard:
    """Show the last bar of every symbol and the state of every service."""

    def __init__(self, symbols: tuple[str, ...], stream: TextIO) -> None:
        """Write to a stream, which decides between table and lines."""
        self._console = Console(file=stream, highlight=False)
        self._counts = {symbol: SymbolSummary() for symbol in symbols}
        self._last: dict[str, tuple[TailBar, float]] = {}
        self._shown: dict[str, int] = {}
        self._services: Mapping[str, str] = {}
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)

    @property
    def every_s(self) -> float:
        """Return how often `show` is worth calling."""
        return TERMINAL_EVERY_S if self._live else PLAIN_EVERY_S

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing."""
        if self._live:
            self._live.stop()

    def print_line(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(Text(text, style="bold"), soft_wrap=True)

    def on_bar(self, bar: TailBar) -> None:
        """Take in a bar of a strategy."""
        count = self._counts.setdefault(bar.symbol, SymbolSummary())
        count.bars += 1
        if bar.start_ns >= count.last_start_ns:
            count.last_start_ns, count.quality = bar.start_ns, bar.quality
            self._last[bar.symbol] = (bar, time.monotonic())

    def symbols(self) -> dict[str, SymbolSummary]:
        """Return the counts of every symbol."""
        return self._counts

    def show(self, services: Mapping[str, str]) -> None:
        """Draw the table anew, or write what is new as lines."""
        if self._live:
            self._live.update(Group(self._table(), _states(services)))
            return
        if services != self._services:
            self._services = dict(services)
            self._console.print(_states(services).plain, soft_wrap=True)
        for symbol, (bar, _) in self._last.items():
            if self._shown.get(symbol) != bar.start_ns:
                self._shown[symbol] = bar.start_ns
                self._console.print(_line(bar, self._counts[symbol].bars), soft_wrap=True)

    def _table(self) -> Table:
        table = Table(expand=False)
        table.add_column("symbol")
        for name in ("last bar (UTC)", "close", "volume", "bars", "age", "latency"):
            table.add_column(name, justify="right")
        table.add_column("quality")
        for symbol, count in self._counts.items():
            if symbol not in self._last:
                table.add_row(symbol, *["-"] * 6, "waiting")
                continue
            bar, at = self._last[symbol]
            table.add_row(
                symbol,
                f"{from_ns(bar.start_ns):%Y-%m-%d %H:%M}",
                f"{bar.close:,.2f}",
                f"{bar.volume:,.2f}",
                str(count.bars),
                f"{time.monotonic() - at:.1f} s",
                _latency(bar),
                Text(bar.quality, style=COLOURS[bar.quality]),
            )
        return table


def _latency(bar: TailBar) -> str:
    return "late" if bar.latency_ms is None else f"{bar.latency_ms:.1f} ms"


def _line(bar: TailBar, bars: int) -> str:
    return (
        f"{bar.symbol:<8} {from_ns(bar.start_ns):%Y-%m-%d %H:%M} UTC  close {bar.close:.4f}  "
        f"{bar.quality:<9} {_latency(bar):>9}  {bars} bars"
    )


def _states(services: Mapping[str, str]) -> Text:
    return Text("  ".join(f"{name}: {state}" for name, state in sorted(services.items())))
