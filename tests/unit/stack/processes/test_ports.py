"""Free ports stay free until their server starts."""

import socket
from contextlib import ExitStack

from lean_lite.stack.processes.ports import LOCALHOST, PORTS, free_port, is_free


def test_each_port_is_offered_once_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)
    assert set(ports) <= set(PORTS)
    with ExitStack() as servers:
        for port in ports:
            servers.enter_context(socket.create_server((LOCALHOST, port)))


def test_a_port_is_not_free_while_a_server_listens() -> None:
    port = free_port()
    with socket.create_server((LOCALHOST, port)):
        assert not is_free(port)
    assert is_free(port)
