"""Connecting to an unusable server raises an error that says what to do."""

import pytest

from lean_lite.bus import connect
from lean_lite.config import BusConfig
from lean_lite.errors import BusUnavailable, ConfigError, ServerTooOld
from lean_lite.stack.processes.ports import free_port
from tests.harness.old_server import old_server


async def test_the_error_for_an_old_server_names_its_version() -> None:
    async with old_server() as url:
        with pytest.raises(ServerTooOld, match=r"version 2\.8\.4; Lean-Lite needs 2\.10 or newer"):
            await connect(BusConfig(url=url), "client", name="test")


async def test_the_error_for_an_address_without_a_server_says_what_to_check() -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    with pytest.raises(BusUnavailable, match="check that the server runs"):
        await connect(BusConfig(url=url, connect_timeout_s=1), "client", name="test")


async def test_the_error_for_a_missing_address_names_the_setting() -> None:
    with pytest.raises(ConfigError, match="LEAN_LITE_BUS__URL"):
        await connect(BusConfig(), "client", name="test")
