"""Write into a cache until killed: `python -m tests.harness.cache_writer FOLDER KILLS`."""

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import numpy as np

from lean_lite.blocks import from_bars
from lean_lite.data.bars import Bars
from lean_lite.data.cache.disk import DiskCache, Key
from lean_lite.model import TradeBar
from lean_lite.model.timestamps import from_ns

KEYS = [Key("SPY", 60, number, number + 1) for number in range(4)]
MAX_BYTES = 8 * 1024**2
WRITES_MAX = 8
LONGEST_S = 0.005
_ONE = from_bars([TradeBar("SPY", from_ns(0), 1, 1, 1, 1, 1)], feed="")


def version(number: int) -> Bars:
    """Return bars whose length and closes depend on their version."""
    rows = _ONE.take(np.zeros(1 + number * 37 % 9_000, np.intp))
    return Bars(rows.with_columns(close=np.full(len(rows), float(number))), expected=number)


def is_complete(bars: Bars) -> bool:
    expected = version(bars.expected)
    return len(bars) == len(expected) and bool((bars.block["close"] == bars.expected).all())


def write(folder: Path, chance: random.Random, started: int) -> NoReturn:
    """Write entries without end; `started` is a pipe that gets a byte before each."""
    cache = DiskCache(folder, MAX_BYTES)
    while True:
        os.write(started, b".")
        cache.write(chance.choice(KEYS), version(chance.randrange(10_000)))


def kill_many(folder: Path, kills: int) -> int:
    """Kill one writer after the other; return the number of complete entries found."""
    found = 0
    for number in range(kills):
        chance = random.Random(number)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            write(folder, chance, writing)
        # Counted in writes, so that a slow machine kills as late as a fast one.
        for _ in range(chance.randint(1, WRITES_MAX)):
            os.read(reading, 1)
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        cache = DiskCache(folder, MAX_BYTES)
        entries = [entry for key in KEYS if (entry := cache.read(key)) is not None]
        if cache.corrupt or not all(map(is_complete, entries)):
            sys.exit(f"kill {number} has left a damaged entry")
        found += len(entries)
    return found


if __name__ == "__main__":
    sys.stdout.write(f"{kill_many(Path(sys.argv[1]), int(sys.argv[2]))}\n")
