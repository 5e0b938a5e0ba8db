"""Free ports of this machine."""

import secrets
import socket
from itertools import chain, cycle, islice

from lean_lite.errors import StackError

LOCALHOST = "127.0.0.1"
# Below the ephemeral range: an outgoing connection must not get a port between our check and the
# start of the server that is to listen there.
PORTS = range(20_000, 30_000)

# Each port is offered once per round, so servers that start together get different ones; processes
# start at a random port, so they rarely compete.
_first = secrets.randbelow(len(PORTS))
_candidates = cycle(chain(PORTS[_first:], PORTS[:_first]))


def free_port() -> int:
    """Return a free port of the local host; StackError when all are in use."""
    for port in islice(_candidates, len(PORTS)):
        if is_free(port):
            return port
    message = (
        f"all ports of {LOCALHOST} from {PORTS.start} to {PORTS.stop - 1} are in use: free one"
    )
    raise StackError(message)


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port of the local host now."""
    try:
        socket.create_server((LOCALHOST, port)).close()
    except OSError:
        return False
    return True
