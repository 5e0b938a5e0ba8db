"""Free ports of this machine."""

import socket

LOCALHOST = "127.0.0.1"


def free_port() -> int:
    """Return a port of the local host that nobody listens on now."""
    with socket.create_server((LOCALHOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port
