"""A process that can't start prints the reason in one line and exits with 3."""

import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from lean_lite.stack.processes.ports import LOCALHOST, free_port
from tests.harness.brokers import Brokers
from tests.harness.command import NOWHERE
from tests.harness.error_table import shows
from tests.harness.old_server import old_server
from tests.harness.services import Services
from tests.harness.small_disk import fill, mounted


async def check_error(
    services: Services, situation: str, name: str, **settings: Mapping[str, object]
) -> None:
    """Start a service, and compare its only line and its exit code with docs/errors.md."""
    process = services.start(name, **settings)
    code = await process.ended()
    lines = process.log.splitlines()
    assert len(lines) == 1, process.log
    shows(situation, lines[0], code)


@pytest.mark.parametrize("missing", ["key_id", "secret_key"])
async def test_the_error_for_a_missing_key_names_both_solutions(
    services: Services, missing: str
) -> None:
    process = services.start("ingest", alpaca={"key_id": "k", "secret_key": "s", missing: ""})
    code = await process.ended()
    shows("no keys, service", process.log.replace("key_id:", "secret_key:"), code)
    assert f"alpaca.{missing}:" in process.log


async def test_the_error_for_a_missing_nats_address_names_the_setting(services: Services) -> None:
    await check_error(services, "no address of NATS", "store", bus={"url": ""})


async def test_the_error_for_a_missing_nats_names_its_address(services: Services) -> None:
    url = f"nats://{LOCALHOST}:{free_port()}"
    bus = {"url": url, "user": "store", "connect_timeout_s": 1.0}
    await check_error(services, "NATS is missing", "store", bus=bus)


async def test_a_user_that_nats_refuses_gives_the_same_error(
    services: Services, brokers: Brokers
) -> None:
    given = msgspec.structs.asdict(brokers.config("store", 2.0))
    bus = {**given, "password": "wrong", "connect_timeout_s": 1.0}
    await check_error(services, "NATS is missing", "store", bus=bus)


async def test_the_error_for_an_old_server_names_its_version(services: Services) -> None:
    async with old_server() as url:
        await check_error(services, "a NATS server that is too old", "store", bus={"url": url})


async def test_the_error_for_a_port_in_use_names_the_setting(
    services: Services, tmp_path: Path
) -> None:
    store = {"path": str(tmp_path / "bars")}
    with socket.create_server((LOCALHOST, 0)) as other:
        port = other.getsockname()[1]
        situation = "the port of metrics is in use"
        await check_error(services, situation, "metrics", metrics={"port": port})
        situation = "the port of a service's health is in use"
        await check_error(services, situation, "store", store=store, service={"health_port": port})


async def test_the_error_for_an_unwritable_folder_names_it(services: Services) -> None:
    situation = "a store's folder that can't be written"
    await check_error(services, situation, "store", store={"path": str(NOWHERE)})


async def test_the_error_for_a_disk_that_is_full_at_startup_names_it(
    services: Services, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk") as disk:
        fill(disk)
        situation = "a disk that is full at the start"
        await check_error(services, situation, "store", store={"path": str(disk)})
