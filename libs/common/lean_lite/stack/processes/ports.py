"""Free ports of this machine."""

import secrets
import socket
from itertools import chain, cycle, islice

from lean_lite.errors import StackError

LOCALHOST = "127.0.0.1"
# Below those that systems give to outgoing connections: one of these must not take a port between
# our look and the start of the server that is to listen there.
PORTS = range(20_000, 30_000)

# By turns, so that servers that start together are not offered the same one; each process begins
# elsewhere.
_begin = secrets.randbelow(len(PORTS))
_offered = cycle(chain(PORTS[_begin:], PORTS[:_begin]))


def free_port() -> int:
    """Return a port of the local host that nobody listens on now; StackError when all are taken."""
    for port in islice(_offered, len(PORTS)):
        if is_free(port):
            return port
    message = f"every port of {LOCALHOST} from {PORTS.start} to {PORTS.stop - 1} is taken: free one"
    raise StackError(message)


def is_free(port: int) -> bool:
    """Say whether a server may listen on a port of the local host now."""
    try:
        socket.create_server((LOCALHOST, port)).close()
    except OSError:
        return False
    return True
