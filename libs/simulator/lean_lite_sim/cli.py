"""Command line of the simulator."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import date

from lean_lite_sim.faults import ConnectionFault, Faults, parse_faults
from lean_lite_sim.settings import DEFAULT_KEY, SimulatorSettings
from lean_lite_sim.simulator import Simulator

_COULD_NOT_START = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a simulator until SIGTERM or SIGINT; return 3 when it cannot start.

    Prints one JSON line with its addresses when it listens; the log goes to stderr.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    try:
        asyncio.run(_run(settings_from(arguments)))
    except (ValueError, OSError) as error:
        print(f"can't start: {error}", file=sys.stderr)  # noqa: T201
        return _COULD_NOT_START
    return 0


def settings_from(arguments: Sequence[str] | None) -> SimulatorSettings:
    """Read command line options; raise ValueError for invalid ones."""
    options = vars(_parser().parse_args(arguments))
    keys = dict(options.pop("keys") or [(DEFAULT_KEY, DEFAULT_KEY)])
    names = {field.name for field in fields(SimulatorSettings)}
    given = {name: value for name, value in options.items() if name in names and value is not None}
    return SimulatorSettings(keys=keys, **given)


async def _run(settings: SimulatorSettings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Simulator(settings) as simulator:
        line = {
            "rest_url": simulator.rest_url,
            "stream_url": simulator.stream_url,
            "clock": simulator.clock.reading(),
        }
        print(json.dumps(line), flush=True)  # noqa: T201
        await stopping.wait()


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorSettings()
    parser = argparse.ArgumentParser(
        prog="lean-lite-sim",
        description="An Alpaca-compatible market data server with recorded days and faults.",
    )
    option = parser.add_argument
    option("--host", default=defaults.host, help="address to listen on")
    option("--port", type=int, default=0, help="REST and control port; 0: a free one")
    option("--stream-port", type=int, default=0, help="websocket port; 0: a free one")
    option("--start", default=defaults.start, help="feed time at the start: RFC-3339, open or last")
    option("--speed", type=float, default=defaults.speed, help="feed seconds per second")
    option(
        "--hold",
        action="store_true",
        help="hold the clock at the start until the first subscription",
    )
    option("--today", type=date.fromisoformat, help="first day that has not ended")
    option("--keys", action="append", type=_key_pair, metavar="ID:SECRET", help="repeatable")
    option("--feeds", type=_names, help="feeds the keys may use, separated by commas")
    option("--symbols", type=int, default=0, help="number of synthetic symbols")
    option("--also", type=_split, help="synthetic stocks by name, separated by commas")
    option("--seed", type=int, default=0, help="seed of the synthetic symbols")
    option(
        "--frame-size",
        type=int,
        default=defaults.frame_size,
        help="0: one frame for all that is due",
    )
    option("--queue-frames", type=int, default=defaults.queue_frames)
    option("--connection-limit", type=int, default=defaults.connection_limit)
    option("--symbol-limit", type=int)
    option("--rate-limit-per-minute", type=int, default=defaults.rate_limit_per_minute)
    option("--faults", type=_faults, metavar="JSON", help="standing faults from the start")
    option("--no-recent-sip", dest="recent_sip", action="store_false")
    return parser


def _key_pair(text: str) -> tuple[str, str]:
    key, separator, secret = text.partition(":")
    if not (key and separator and secret):
        message = "expected ID:SECRET"
        raise argparse.ArgumentTypeError(message)
    return key, secret


def _faults(text: str) -> Faults:
    faults, connection_fault = parse_faults(Faults(), json.loads(text))
    if connection_fault != ConnectionFault():
        message = f"{text} has faults of open connections, and at the start there are none"
        raise ValueError(message)
    return faults


def _names(text: str) -> frozenset[str]:
    return frozenset(_split(text))


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
