"""The simulator behind real sockets, ingest as a process, and RAW compared with the recording."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from lean_lite.bus import Bus
from lean_lite_sim import Simulator, SimulatorSettings
from tests.harness.simulated_market import Market
from tests.integration.conftest import Join

SimulatorMaker = Callable[..., Awaitable[Simulator]]


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorMaker]:
    """Start a simulator whose clock starts with the first subscription."""
    async with AsyncExitStack() as running:

        async def start(**settings: object) -> Simulator:
            given = {"speed": 600.0, "hold": True, **settings}
            return await running.enter_async_context(Simulator(SimulatorSettings(**given)))  # type: ignore[arg-type]

        yield start


@pytest.fixture
async def market(admin: Bus, join: Join) -> Market:
    return Market(admin, await join("client"))
