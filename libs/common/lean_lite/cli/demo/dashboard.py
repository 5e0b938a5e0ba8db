"""Dashboard: a live table on a terminal, plain lines elsewhere."""

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

TERMINAL_INTERVAL_S = 0.25
PLAIN_INTERVAL_S = 1.0
COLOURS = {
    "EXCELLENT": "green",
    "GOOD": "green",
    "FAIR": "yellow",
    "POOR": "red",
    "INVALID": "bold red",
}


class Dashboard:
    """The last bar of every symbol and the state of every service, written to a stream."""

    def __init__(self, symbols: tuple[str, ...], stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._summaries = {symbol: SymbolSummary() for symbol in symbols}
        self._last: dict[str, tuple[TailBar, float]] = {}
        self._shown: dict[str, int] = {}
        self._services: Mapping[str, str] = {}
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)

    @property
    def interval_s(self) -> float:
        """Seconds between two calls of `show`."""
        return TERMINAL_INTERVAL_S if self._live else PLAIN_INTERVAL_S

    def __enter__(self) -> Self:
        """Start the live table."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the live table; its last state stays on the screen."""
        if self._live:
            self._live.stop()

    def print_line(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(Text(text, style="bold"), soft_wrap=True)

    def on_bar(self, bar: TailBar) -> None:
        """Record a bar that a strategy has received."""
        summary = self._summaries.setdefault(bar.symbol, SymbolSummary())
        summary.bars += 1
        if bar.start_ns >= summary.last_start_ns:
            summary.last_start_ns, summary.quality = bar.start_ns, bar.quality
            self._last[bar.symbol] = (bar, time.monotonic())

    def symbols(self) -> dict[str, SymbolSummary]:
        """Return the summary of every symbol."""
        return self._summaries

    def show(self, services: Mapping[str, str]) -> None:
        """Redraw the table, or write a line for everything that has changed."""
        if self._live:
            self._live.update(Group(self._table(), _states_line(services)))
            return
        if services != self._services:
            self._services = dict(services)
            self._console.print(_states_line(services).plain, soft_wrap=True)
        for symbol, (bar, _) in self._last.items():
            if self._shown.get(symbol) != bar.start_ns:
                self._shown[symbol] = bar.start_ns
                self._console.print(_bar_line(bar, self._summaries[symbol].bars), soft_wrap=True)

    def _table(self) -> Table:
        table = Table(expand=False)
        table.add_column("symbol")
        for name in ("last bar (UTC)", "close", "volume", "bars", "age", "latency"):
            table.add_column(name, justify="right")
        table.add_column("quality")
        for symbol, summary in self._summaries.items():
            if symbol not in self._last:
                table.add_row(symbol, *["-"] * 6, "waiting")
                continue
            bar, received_at = self._last[symbol]
            table.add_row(
                symbol,
                f"{from_ns(bar.start_ns):%Y-%m-%d %H:%M}",
                f"{bar.close:,.2f}",
                f"{bar.volume:,.2f}",
                str(summary.bars),
                f"{time.monotonic() - received_at:.1f} s",
                _latency(bar),
                Text(bar.quality, style=COLOURS[bar.quality]),
            )
        return table


def _latency(bar: TailBar) -> str:
    return "late" if bar.latency_ms is None else f"{bar.latency_ms:.1f} ms"


def _bar_line(bar: TailBar, bars: int) -> str:
    return (
        f"{bar.symbol:<8} {from_ns(bar.start_ns):%Y-%m-%d %H:%M} UTC  close {bar.close:.4f}  "
        f"{bar.quality:<9} {_latency(bar):>9}  {bars} bars"
    )


def _states_line(services: Mapping[str, str]) -> Text:
    return Text("  ".join(f"{name}: {state}" for name, state in sorted(services.items())))
