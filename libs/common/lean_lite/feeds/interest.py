"""Which symbols of a feed are wanted, and by whom."""

import time
from collections.abc import Callable, Iterable

EXPIRY_S = 15.0


class ClientInterest:
    """Remember what each client asked for last; one that is silent for `forget_s` is forgotten."""

    def __init__(
        self, forget_s: float = EXPIRY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with nobody."""
        self._forget_s = forget_s
        self._clock = clock
        self._clients: dict[str, tuple[frozenset[str], float]] = {}

    def update(self, client: str, symbols: Iterable[str]) -> None:
        """Take all that a client wants now in the place of what it wanted before."""
        self._clients[client] = (frozenset(symbols), self._clock())

    @property
    def symbols(self) -> frozenset[str]:
        """Return what anybody wants."""
        before = self._clock() - self._forget_s
        self._clients = {
            client: (symbols, at)
            for client, (symbols, at) in self._clients.items()
            if symbols and at > before
        }
        return frozenset().union(*(symbols for symbols, _ in self._clients.values()))
