"""SimulatorProcess: the simulator as a child of the stack."""

import json
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import NamedTuple, Self

import msgspec

from lean_lite.config import StackConfig
from lean_lite.config.sections import Secret
from lean_lite.stack.processes.child import ChildProcess
from lean_lite.stack.processes.child_log import ChildLog
from lean_lite.stack.processes.ports import free_port


class SimulatorOptions(NamedTuple):
    """
    Options of the simulator's clock and market.

    `speed` is feed seconds per second; `start` is RFC 3339, `open` or `last`. `symbols` is a number
    of synthetic symbols to add, `also` names some. With `hold` the clock stands still until the
    first subscription.
    """

    speed: float = 600.0
    start: str = "open"
    symbols: int = 0
    hold: bool = True
    also: tuple[str, ...] = ()

    def with_settings(self, config: StackConfig) -> Self:
        """Return a copy with `stack.speed` and `stack.start` where they are set."""
        return self._replace(speed=config.speed or self.speed, start=config.start or self.start)


# A shared stack replays the latest day at a speed that can be watched; the examples use MSFT.
SHARED_STACK_OPTIONS = SimulatorOptions(speed=60.0, start="last", hold=False, also=("MSFT",))


class ClockReading(msgspec.Struct, frozen=True):
    """Feed time `feed_ns` of the simulator at wall time `wall_ns`; it advances at `speed`."""

    wall_ns: int
    feed_ns: int
    speed: float
    held: bool = False


class SimulatorProcess(ChildProcess):
    """
    The simulator with its own random keys, on the same ports after a restart.

    After a restart its clock continues where it would be by now. `reading` is one of an earlier
    simulator, whose clock this one continues.
    """

    def __init__(
        self, options: SimulatorOptions, log: ChildLog, reading: ClockReading | None = None
    ) -> None:
        self.reading = reading
        self._options = options
        self._key_id = f"demo-{secrets.token_hex(4)}"
        self._secret_key = secrets.token_hex(16)
        arguments = {
            "port": free_port(),
            "stream-port": free_port(),
            "symbols": options.symbols,
            "also": ",".join(options.also),
            "keys": f"{self._key_id}:{self._secret_key}",
        }
        command = [sys.executable, "-m", "lean_lite_sim"]
        command += [f"--{option}={value}" for option, value in arguments.items()]
        super().__init__("simulator", [*command, *(["--hold"] if options.hold else [])], log)
        self._base_command = self._command

    def start(self) -> None:
        """Start it with its clock at the right time; StackError when it can't be executed."""
        speed, start = self._options.speed, self._options.start
        if self.reading is not None and not self.reading.held:
            speed, start = self.reading.speed, _current_time(self.reading)
        self._command = (*self._base_command, f"--speed={speed:g}", f"--start={start}")
        super().start()

    def alpaca_settings(self) -> dict[str, object] | None:
        """Return the section `alpaca` that reaches it; None until it has printed its addresses."""
        line = next((line for line in self.log.lines() if line.startswith('{"rest_url"')), "")
        try:
            printed = json.loads(line)
        except ValueError:
            return None
        self.reading = msgspec.convert(printed["clock"], ClockReading)
        return {
            "rest_url": printed["rest_url"],
            "stream_url": printed["stream_url"],
            "key_id": Secret(self._key_id),
            "secret_key": Secret(self._secret_key),
            "simulated": True,
        }


def _current_time(reading: ClockReading) -> str:
    feed_ns = reading.feed_ns + round((time.time_ns() - reading.wall_ns) * reading.speed)
    return datetime.fromtimestamp(feed_ns / 1e9, UTC).isoformat()
