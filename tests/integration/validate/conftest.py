"""One that feeds RAW and replicas of validate that grade it."""

import pytest

from tests.integration.conftest import Join
from tests.integration.raw import Feeder


@pytest.fixture
async def feeder(join: Join) -> Feeder:
    return Feeder(await join("ingest"))
