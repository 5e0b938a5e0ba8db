"""
The verb `setup`: prepare a stack of containers, for `docker-compose.yml`.

Every role and broker has a folder of its own, meant to be a volume of its own, so that a process
sees its own password and no other.
"""

import asyncio
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from cyclopts import App
from nats.js.errors import APIError

from lean_lite.bus import connect, create_streams, server_config
from lean_lite.config import Config
from lean_lite.errors import StackError
from lean_lite.protocol.permissions import ADMIN, ROLES
from lean_lite.stack.credentials import new_password
from lean_lite.stack.files import write_private
from lean_lite.stack.processes.brokers import VALKEY_CONFIG

PASSWORD = "password"  # noqa: S105 - the name of a file
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container; compose publishes ports
DATA = "/data"
NATS_PORT = 4222
VALKEY_PORT = 6379
REPLAYED_DATA = ("nats/streams", "store/bars")
CONNECT_S = 1.0

setup = App(name="setup", help="Prepare a stack of containers; docker-compose.yml uses it.")


@setup.command(name="files")
def write_files(folder: Path, *, demo: bool = False) -> None:
    """
    Write passwords and the configurations of the brokers; existing passwords stay.

    Parameters
    ----------
    folder
        Folder with the folders of all roles and brokers.
    demo
        Delete the bars of an earlier replay unless it still runs: the same days are replayed.

    """
    try:
        if demo and not _is_listening(Config().bus.url):
            for name in REPLAYED_DATA:
                shutil.rmtree(folder / name, ignore_errors=True)
        _write_nats(folder)
        _write_valkey(folder)
    except OSError as error:
        raise StackError(f"{folder} can't be used: {error}") from error


@setup.command(name="streams")
def make_streams() -> None:
    """Create streams and buckets on the server at `bus.url`, as the user `admin`."""
    asyncio.run(_make_streams(Config()))


@setup.command(name="environment")
def show_environment(folder: Path, *, url: str) -> None:
    """
    Print the environment variables with which a strategy outside the containers connects.

    Parameters
    ----------
    folder
        Folder with the folders of all roles.
    url
        Address of NATS as seen from outside.

    """
    settings = {
        "URL": url,
        "USER": "client",
        "PASSWORD": _read_password(folder / "client"),
        "FEED_USER": "feed",
        "FEED_PASSWORD": _read_password(folder / "feed"),
    }
    sys.stdout.writelines(f"LEAN_LITE_BUS__{key}={value}\n" for key, value in settings.items())


def _write_nats(folder: Path) -> None:
    passwords = {role: _ensure_password(folder / role) for role in (*ROLES, ADMIN)}
    streams = f"{DATA}/streams"
    text = server_config(passwords, port=NATS_PORT, folder=streams, host=EVERYWHERE)
    _write(folder / "nats" / "nats.conf", text)


def _write_valkey(folder: Path) -> None:
    password = _ensure_password(folder / "valkey")
    text = VALKEY_CONFIG.format(host=EVERYWHERE, port=VALKEY_PORT, password=password, folder=DATA)
    _write(folder / "valkey" / "valkey.conf", text)
    _write(folder / "store" / "redis_url", f"redis://:{password}@valkey:{VALKEY_PORT}/0")


def _ensure_password(folder: Path) -> str:
    path = folder / PASSWORD
    if not path.is_file():
        _write(path, new_password())
    return path.read_text("utf-8")


def _read_password(folder: Path) -> str:
    try:
        return (folder / PASSWORD).read_text("utf-8")
    except OSError as error:
        message = f"there is no password in {folder} yet: start the stack first"
        raise StackError(message) from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, text)


def _is_listening(url: str) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port or NATS_PORT), CONNECT_S):
            return True
    except OSError:
        return False


async def _make_streams(config: Config) -> None:
    bus = await connect(config.bus, ADMIN, name="setup")
    try:
        await create_streams(bus, config.streams)
    except APIError as error:
        message = (
            f"the streams could not be created: {error.description or error}; when the disk is too "
            "small for them, lower `streams.bytes` (LEAN_LITE_STREAMS__BYTES)"
        )
        raise StackError(message) from error
    finally:
        await bus.close()
