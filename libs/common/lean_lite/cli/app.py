"""The verbs of `lean-lite`, their options and their exit codes."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Annotated

from cyclopts import App, Parameter

from lean_lite.cli.demo.demo import DemoOptions, demo
from lean_lite.cli.logs import logs
from lean_lite.cli.settings_view import settings_json, settings_table
from lean_lite.cli.setup import setup
from lean_lite.cli.status import status
from lean_lite.cli.tail import tail
from lean_lite.cli.up_down import down, up
from lean_lite.config import Config
from lean_lite.version import VERSION

SYMBOLS = ("SPY", "AAPL", "BTC/USD")

app = App(
    name="lean-lite",
    help="One Alpaca connection in, graded bars out to any number of strategies.",
    version=VERSION,
)
app.command(setup)


@app.command(name="demo")
def demo_command(
    *symbols: str,
    seconds: float | None = None,
    speed: float | None = None,
    start: str | None = None,
    strategies: int = 1,
    json: bool = False,
    with_parent: bool = False,
) -> None:
    """
    Run the whole pipeline on this machine until Ctrl-C, then print the counts of each hop.

    With APCA_API_KEY_ID and APCA_API_SECRET_KEY set it uses Alpaca's data; without keys, or with
    LEAN_LITE_FEED=simulator, a simulator that replays recorded days.

    Parameters
    ----------
    symbols
        Symbols to follow; default: SPY, AAPL and BTC/USD.
    seconds
        Stop after this many seconds.
    speed
        Speed of the simulator's clock, in feed seconds per second (LEAN_LITE_STACK__SPEED).
    start
        Start of the simulator's clock: `open`, `last` or an ISO time (LEAN_LITE_STACK__START).
    strategies
        Number of strategy processes that follow the symbols.
    json
        Print the counts as one JSON object on standard output, everything else on standard error.
    with_parent
        Stop when the process that started this one exits; `make run` uses it.

    """
    config = Config()
    settings = {"speed": speed, "start": start}
    changes = {key: value for key, value in settings.items() if value is not None}
    options = DemoOptions(symbols or SYMBOLS, seconds, strategies, json, with_parent)
    _run(demo(config.replace(stack=changes), options))


@app.command(name="tail")
def tail_command(
    *symbols: Annotated[str, Parameter(required=True)],
    from_start: bool = False,
    json: bool = False,
) -> None:
    """
    Print the live bars of symbols until Ctrl-C.

    Parameters
    ----------
    symbols
        Symbols to follow, e.g. `lean-lite tail SPY BTC/USD`.
    from_start
        Print the stored bars first.
    json
        Print one JSON object per bar, and one with the counts at the end.

    """
    _run(tail(Config(), symbols, as_json=json, from_start=from_start))


@app.command(name="up")
def up_command(*, json: bool = False) -> None:
    """
    Start the shared stack of this machine and keep it running until `lean-lite down`.

    With APCA_API_KEY_ID and APCA_API_SECRET_KEY set it uses Alpaca's data, with
    LEAN_LITE_FEED=simulator recorded days. A stack that runs already is kept running.

    Parameters
    ----------
    json
        Print the status as one JSON object.

    """
    _run(up(Config(), as_json=json))


@app.command(name="status")
def status_command(*, json: bool = False) -> None:
    """
    Print the status of this machine's stack; exit code 0: ready, 1: not ready, 3: none is running.

    Parameters
    ----------
    json
        Print the status as one JSON object.

    """
    _run(status(Config(), as_json=json))


@app.command(name="down")
def down_command() -> None:
    """Stop the stack of this machine, even while programs use it."""
    _run(down(Config()))


@app.command(name="logs")
def logs_command(name: str | None = None, *, lines: int = 20, follow: bool = False) -> None:
    """
    Print the logs of the stack's processes.

    Parameters
    ----------
    name
        Process: nats, valkey, ingest, validate, store, metrics, simulator or supervisor; default:
        all of them.
    lines
        Number of lines of each log.
    follow
        Print new lines until Ctrl-C.

    """
    _run(logs(Config(), name, lines=lines, follow=follow))


@app.command(name="config")
def config_command(*, json: bool = False) -> None:
    """
    Print every setting with its value and origin; secrets are masked.

    Parameters
    ----------
    json
        Print one JSON object with value, origin and environment variable of each setting.

    """
    to_text = settings_json if json else settings_table
    sys.stdout.write(to_text(Config().sources()))


def _run(verb: Coroutine[object, object, int]) -> None:
    try:
        code = asyncio.run(verb)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
