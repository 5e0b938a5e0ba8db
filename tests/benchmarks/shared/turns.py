"""
The child's side of a benchmark: take a turn for each line that comes in.

Needs nothing but the standard library, because peers run in an environment of their own.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

Turn = Callable[..., Awaitable[dict[str, Any]]]


async def serve(**turns: Turn) -> None:
    """Read `{"turn": name, …}` from the standard input until it ends; print what each returns."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = json.loads(line)
        told = await turns[wanted.pop("turn")](**wanted)
        print(json.dumps(told), flush=True)


class Watch:
    """Time a piece of work, in seconds of this process' CPU and of the clock on the wall."""

    def __init__(self) -> None:
        # What was made beforehand is no part of the work, and not to be looked through in it.
        gc.collect()
        gc.freeze()
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def stop(self) -> "Elapsed":
        elapsed = Elapsed(time.process_time() - self._cpu_s, time.perf_counter() - self._wall_s)
        gc.unfreeze()
        return elapsed


class Elapsed(NamedTuple):
    """Hold what a watch has shown."""

    cpu_s: float
    wall_s: float
