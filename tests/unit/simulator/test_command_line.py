import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest
from websockets.asyncio.client import connect

COMMAND = (sys.executable, "-m", "lean_lite_sim")


async def start(*options: str) -> Process:
    return await asyncio.create_subprocess_exec(*COMMAND, *options, stdout=PIPE, stderr=PIPE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_simulator_prints_one_line_when_it_listens_and_stops_on_a_signal(
    number: int,
) -> None:
    process = await start("--hold", "--speed", "600", "--keys", "me:secret")
    assert process.stdout is not None
    line = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert set(line) == {"rest_url", "stream_url", "clock"}
    assert line["clock"]["held"]
    assert line["clock"]["speed"] == 600
    async with connect(line["stream_url"] + "/v2/iex", proxy=None) as client:
        assert json.loads(await client.recv()) == [{"T": "success", "msg": "connected"}]
        process.send_signal(number)
        rest, errors = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, rest) == (0, b"")
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    "options",
    [("--start", "noon"), ("--speed", "0"), ("--feeds", "nyse"), ("--faults", '{"mut_s": 1}')],
)
async def test_invalid_options_are_reported(options: tuple[str, ...]) -> None:
    process = await start(*options)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode in (2, 3)
    assert b"Traceback" not in errors
    assert len(errors.splitlines()[-1]) > 20


async def test_a_port_in_use_is_reported_in_one_line() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = str(server.sockets[0].getsockname()[1])
        process = await start("--port", port)
        _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 3
    assert errors.splitlines()[-1].startswith(b"can't start: ")
