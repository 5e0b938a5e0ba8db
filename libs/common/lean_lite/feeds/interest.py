"""ClientInterest: the symbols of a feed that its clients are interested in."""

import time
from collections.abc import Callable, Iterable

# Clients renew their interest every 5 s: two renewals may be lost.
EXPIRY_S = 15.0


class ClientInterest:
    """Interest of each client as of its last request, for `interest_ttl_s`."""

    def __init__(
        self, interest_ttl_s: float = EXPIRY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interest_ttl_s = interest_ttl_s
        self._clock = clock
        self._clients: dict[str, tuple[frozenset[str], float]] = {}

    def update(self, client: str, symbols: Iterable[str]) -> None:
        """Replace the symbols of a client; none at all withdraws its interest."""
        self._clients[client] = (frozenset(symbols), self._clock())

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols of all clients whose interest has not expired."""
        since = self._clock() - self._interest_ttl_s
        self._clients = {
            client: (symbols, updated_at)
            for client, (symbols, updated_at) in self._clients.items()
            if symbols and updated_at > since
        }
        return frozenset().union(*(symbols for symbols, _ in self._clients.values()))
