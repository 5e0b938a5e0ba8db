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
    Run the whole pipeline on this machine until Ctrl-C, and count what went through it.

    With APCA_API_KEY_ID and APCA_API_SECRET_KEY set it works on Alpaca's data; without keys, or
    with LEAN_LITE_FEED=simulator, on a simulator that replays recorded days, and says so.

    Parameters
    ----------
    symbols
        What to follow; SPY, AAPL and BTC/USD when none is named.
    seconds
        Stop after so long.
    speed
        How fast the simulator's clock runs (LEAN_LITE_STACK__SPEED).
    start
        Where the simulator's clock starts: `open`, `last` or an ISO time (LEAN_LITE_STACK__START).
    strategies
        How many strategy processes follow the symbols.
    json
        Print one JSON object as the last line, and everything else to standard error.
    with_parent
        End when the process that started this one is gone, as `make run` wants it.

    """
    config = Config()
    changes = {"speed": speed, "start": start}
    given = {key: value for key, value in changes.items() if value is not None}
    options = DemoOptions(symbols or SYMBOLS, seconds, strategies, json, with_parent)
    _finish(demo(config.replace(stack=given), options))


@app.command(name="tail")
def tail_command(
    *symbols: Annotated[str, Parameter(required=True)],
    from_start: bool = False,
    json: bool = False,
) -> None:
    """
    Print the live bars of symbols as they are graded, until Ctrl-C.

    Parameters
    ----------
    symbols
        What to follow, for example `lean-lite tail SPY BTC/USD`.
    from_start
        Begin with the first stored bar instead of the next one.
    json
        Print one JSON object per bar, and at the end one with the counts.

    """
    _finish(tail(Config(), symbols, as_json=json, from_start=from_start))


@app.command(name="up")
def up_command(*, json: bool = False) -> None:
    """
    Start the stack that the strategies of this machine share, and keep it until `lean-lite down`.

    It runs on Alpaca's data with APCA_API_KEY_ID and APCA_API_SECRET_KEY, and on recorded days with
    LEAN_LITE_FEED=simulator. One that runs already is kept.

    Parameters
    ----------
    json
        Print the status as one JSON object.

    """
    _finish(up(Config(), as_json=json))


@app.command(name="status")
def status_command(*, json: bool = False) -> None:
    """
    Print how the stack of this machine is; exit code 0 ready, 1 not ready, 3 none runs.

    Parameters
    ----------
    json
        Print one JSON object.

    """
    _finish(status(Config(), as_json=json))


@app.command(name="down")
def down_command() -> None:
    """End the stack of this machine, whoever uses it."""
    _finish(down(Config()))


@app.command(name="logs")
def logs_command(name: str | None = None, *, lines: int = 20, follow: bool = False) -> None:
    """
    Print what the processes of the stack have logged.

    Parameters
    ----------
    name
        Whose log: nats, valkey, ingest, validate, store, metrics, simulator or supervisor; all when
        none is named.
    lines
        How many lines of each.
    follow
        Go on until Ctrl-C.

    """
    _finish(logs(Config(), name, lines=lines, follow=follow))


@app.command(name="config")
def config_command(*, json: bool = False) -> None:
    """
    Print every setting in force and where its value comes from; secrets are masked.

    Parameters
    ----------
    json
        Print one JSON object: value, origin and environment variable of each.

    """
    show = settings_json if json else settings_table
    sys.stdout.write(show(Config().sources()))


def _finish(work: Coroutine[object, object, int]) -> None:
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
