"""Processes are killed at random moments of a running replay; no bar is lost or duplicated."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from tests.harness.pipeline import Pipeline

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))
KILLS = 100 if SOAK else 5
PAUSE_S = (0.1, 1.0)

pytestmark = [pytest.mark.system, pytest.mark.soak, pytest.mark.timeout(3600 if SOAK else 240)]


@pytest.mark.parametrize("victim", ["validate", "store", "ingest", "nats"])
async def test_no_bar_is_lost_or_duplicated_when_a_process_is_killed(
    victim: str, tmp_path: Path
) -> None:
    chance = random.Random(victim)
    # A hundred kills take long: a slower clock keeps the recorded days going until then.
    async with Pipeline(tmp_path / "stack", speed=30.0 if SOAK else 600.0) as pipeline:
        await pipeline.strategies[0].wait_for_bars()
        for number in range(1, KILLS + 1):
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            pipeline.kill(victim)
            await pipeline.recovered(victim, number)
            await pipeline.flowing()
        await pipeline.refilled()
        await pipeline.settle()
        await pipeline.check_truth(minimum=20)
        await pipeline.check_delivery()


async def test_a_frozen_owner_that_resumes_after_its_lease_expired_writes_nothing(
    tmp_path: Path,
) -> None:
    async with Pipeline(tmp_path / "stack") as pipeline:
        await pipeline.strategies[0].wait_for_bars()
        await asyncio.sleep(1)
        pipeline.kill("validate", signal.SIGSTOP)
        await asyncio.sleep(4)
        pipeline.kill("validate", signal.SIGCONT)
        await pipeline.flowing()
        await pipeline.settle()
        await pipeline.check_truth(minimum=20)
        await pipeline.check_delivery()
