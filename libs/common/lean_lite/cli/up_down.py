"""The verbs `up` and `down`: start and stop the shared stack of this machine."""

import sys
from collections.abc import Mapping
from typing import Any

from lean_lite.cli.status import print_status, read_status
from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import end_stack, join_stack


async def up(config: Config, *, as_json: bool) -> int:
    """
    Start the stack or join it, keep it running until `down`, and print its status.

    StackError when it runs in the foreground: nothing can keep it running then.
    """
    membership = await join_stack(config)
    in_foreground = not membership.facts["session"]
    if not in_foreground:
        membership.keep_running()
    await membership.leave()
    if in_foreground:
        raise _foreground_error(membership.facts)
    print_status(await read_status(config, membership.facts), as_json=as_json)
    return 0


async def down(config: Config) -> int:
    """Stop the stack, even while programs use it."""
    stopped = await end_stack(config)
    lines = [f"stopped the stack of process {pid}" for pid in stopped]
    sys.stdout.write("\n".join(lines or ["no stack is running: nothing to stop"]) + "\n")
    return 0


def _foreground_error(facts: Mapping[str, Any]) -> StackError:
    return StackError(
        f"a {facts['mode']} stack already runs in the foreground (process {facts['pid']}, "
        "`lean-lite demo` or `make run`): programs can use it, but it stops with that process; "
        "stop it with Ctrl-C first, then `lean-lite up` starts one that keeps running"
    )
