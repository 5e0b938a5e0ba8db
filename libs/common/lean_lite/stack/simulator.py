"""The simulator as a child of the stack."""

import json
import secrets
import sys
from typing import NamedTuple

from lean_lite.config.section import Secret
from lean_lite.stack.child import Child
from lean_lite.stack.log import ChildLog
from lean_lite.stack.ports import free_port


class SimulatorOptions(NamedTuple):
    """
    Set the simulator's clock and market.

    `speed` is feed seconds per second; `start` is RFC-3339 or `open`; `symbols` adds synthetic
    ones; with `hold` the clock stands until somebody subscribes.
    """

    speed: float = 600.0
    start: str = "open"
    symbols: int = 0
    hold: bool = True


class SimulatorChild(Child):
    """Run the simulator with keys of its own, on the same ports after a restart."""

    def __init__(self, options: SimulatorOptions, log: ChildLog) -> None:
        """Choose ports and keys; nothing runs before `start`."""
        self._key_id = f"demo-{secrets.token_hex(4)}"
        self._secret_key = secrets.token_hex(16)
        given = {
            "port": free_port(),
            "stream-port": free_port(),
            "speed": f"{options.speed:g}",
            "start": options.start,
            "symbols": options.symbols,
            "keys": f"{self._key_id}:{self._secret_key}",
        }
        command = [sys.executable, "-m", "lean_lite_sim"]
        command += [f"--{option}={value}" for option, value in given.items()]
        super().__init__("simulator", [*command, *(["--hold"] if options.hold else [])], log)

    def settings(self) -> dict[str, object] | None:
        """Return the section `alpaca` that reaches it, None until it has said its addresses."""
        line = next((line for line in self.log.lines() if line.startswith('{"rest_url"')), "")
        try:
            said = json.loads(line)
        except ValueError:
            return None
        return {
            "rest_url": said["rest_url"],
            "stream_url": said["stream_url"],
            "key_id": Secret(self._key_id),
            "secret_key": Secret(self._secret_key),
            "simulated": True,
        }
