"""Start and end the stack that everybody on this machine shares."""

import sys
from collections.abc import Mapping
from typing import Any

from lean_lite.cli.status import read_status, show
from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.stack import end_stack, join_stack


async def up(config: Config, *, as_json: bool) -> int:
    """
    Start the stack or find it, keep it until `down`, and print its status.

    StackError when a process in the foreground runs it: then it can't be kept.
    """
    membership = await join_stack(config)
    foreground = not membership.facts["session"]
    if not foreground:
        membership.keep_running()
    await membership.leave()
    if foreground:
        raise _in_foreground(membership.facts)
    show(await read_status(config, membership.facts), as_json=as_json)
    return 0


async def down(config: Config) -> int:
    """End the stack, whoever uses it."""
    ended = await end_stack(config)
    said = [f"process {pid} and its stack have ended" for pid in ended]
    sys.stdout.write("\n".join(said or ["no stack runs: there is nothing to end"]) + "\n")
    return 0


def _in_foreground(facts: Mapping[str, Any]) -> StackError:
    return StackError(
        f"a {facts['mode']} stack in the foreground (process {facts['pid']}, `lean-lite demo` or "
        "`make run`) runs here: programs can use it, and it ends with that process; end it with "
        "Ctrl-C first, and `lean-lite up` starts one that stays"
    )
