"""Start and end the stack that everybody on this machine shares."""

import sys

from lean_lite.cli.status import read_status, show
from lean_lite.config import Config
from lean_lite.stack import end_stack, join_stack


async def up(config: Config, *, as_json: bool) -> int:
    """Start the stack or find it, keep it until `down`, and print its status."""
    membership = await join_stack(config)
    membership.keep()
    await membership.leave()
    show(await read_status(config, membership.facts), as_json=as_json)
    return 0


async def down(config: Config) -> int:
    """End the stack, whoever uses it."""
    ended = await end_stack(config)
    said = [f"process {pid} and its stack have ended" for pid in ended]
    sys.stdout.write("\n".join(said or ["no stack runs: there is nothing to end"]) + "\n")
    return 0
