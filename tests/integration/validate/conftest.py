"""A feeder that publishes to RAW what the replicas of validate grade."""

import pytest

from tests.harness.frames import Feeder
from tests.integration.conftest import Join


@pytest.fixture
async def feeder(join: Join) -> Feeder:
    return Feeder(await join("ingest"))
