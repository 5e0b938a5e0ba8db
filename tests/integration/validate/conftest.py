"""One that feeds RAW and replicas of validate that grade it."""

import pytest

from tests.harness.frames import Feeder
from tests.integration.conftest import Join


@pytest.fixture
async def feeder(join: Join) -> Feeder:
    return Feeder(await join("ingest"))
