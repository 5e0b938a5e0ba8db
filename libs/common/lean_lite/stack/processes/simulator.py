"""The simulator as a child of the stack."""

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
    Set the simulator's clock and market.

    `speed` is feed seconds per second; `start` is RFC-3339, `open` or `last`; `symbols` adds
    synthetic ones, `also` some by name; with `hold` the clock stands until somebody subscribes.
    """

    speed: float = 600.0
    start: str = "open"
    symbols: int = 0
    hold: bool = True
    also: tuple[str, ...] = ()

    def with_settings(self, config: StackConfig) -> Self:
        """Return these with the speed and the start that are set."""
        return self._replace(speed=config.speed or self.speed, start=config.start or self.start)


# What strategies share: the latest recorded day, and the symbols that every example names.
SHARED = SimulatorOptions(speed=60.0, start="last", hold=False, also=("MSFT",))


class ClockReading(msgspec.Struct, frozen=True):
    """Be one reading of the simulator's clock, which runs from there at its speed."""

    wall_ns: int
    feed_ns: int
    speed: float
    held: bool = False


class SimulatorChild(ChildProcess):
    """
    Run the simulator with keys of its own, on the same ports after a restart.

    A clock that ran goes on where it would be by now, also from a `reading` of an earlier one.
    """

    def __init__(
        self, options: SimulatorOptions, log: ChildLog, reading: ClockReading | None = None
    ) -> None:
        """Choose ports and keys; nothing runs before `start`."""
        self.reading = reading
        self._options = options
        self._key_id = f"demo-{secrets.token_hex(4)}"
        self._secret_key = secrets.token_hex(16)
        given = {
            "port": free_port(),
            "stream-port": free_port(),
            "symbols": options.symbols,
            "also": ",".join(options.also),
            "keys": f"{self._key_id}:{self._secret_key}",
        }
        command = [sys.executable, "-m", "lean_lite_sim"]
        command += [f"--{option}={value}" for option, value in given.items()]
        super().__init__("simulator", [*command, *(["--hold"] if options.hold else [])], log)
        self._unclocked = self._command

    def start(self) -> None:
        """Start it; StackError when it can't be executed."""
        speed, start = self._options.speed, self._options.start
        if self.reading is not None and not self.reading.held:
            speed, start = self.reading.speed, _now(self.reading)
        self._command = (*self._unclocked, f"--speed={speed:g}", f"--start={start}")
        super().start()

    def settings(self) -> dict[str, object] | None:
        """Return the section `alpaca` that reaches it, None until it has said its addresses."""
        line = next((line for line in self.log.lines() if line.startswith('{"rest_url"')), "")
        try:
            said = json.loads(line)
        except ValueError:
            return None
        self.reading = msgspec.convert(said["clock"], ClockReading)
        return {
            "rest_url": said["rest_url"],
            "stream_url": said["stream_url"],
            "key_id": Secret(self._key_id),
            "secret_key": Secret(self._secret_key),
            "simulated": True,
        }


def _now(reading: ClockReading) -> str:
    feed_ns = reading.feed_ns + round((time.time_ns() - reading.wall_ns) * reading.speed)
    return datetime.fromtimestamp(feed_ns / 1e9, UTC).isoformat()
