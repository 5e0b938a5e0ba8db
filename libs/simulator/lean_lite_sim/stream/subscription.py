"""Subscription: the symbols of one client by channel."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lean_lite_sim.market.market import is_well_formed
from lean_lite_sim.protocol.endpoints import KNOWN_CHANNELS, Endpoint
from lean_lite_sim.protocol.wire import Message, Refusal, Value, strings

EVERY_SYMBOL: Final = "*"
_MIRRORS_OF_TRADES: Final = ("corrections", "cancelErrors")
_SHOWN_WHEN_USED: Final = "imbalances"


class Selection(NamedTuple):
    """Symbols by kind of bars; clients with equal selections are sent the same frames."""

    bars: frozenset[str]
    updated_bars: frozenset[str]
    daily_bars: frozenset[str]

    def includes(self, message: Message) -> bool:
        """Return whether a message belongs to the selection."""
        if message.channel is None:
            return True
        symbols = {
            "bars": self.bars,
            "updatedBars": self.updated_bars,
            "dailyBars": self.daily_bars,
        }[message.channel]
        return message.symbol in symbols or EVERY_SYMBOL in symbols


NOTHING: Final = Selection(frozenset(), frozenset(), frozenset())


class Subscription:
    """
    The subscriptions of one connection.

    `limit` is the maximum number of symbols on the channels of `limited`, `*` not counted.
    """

    def __init__(self, endpoint: Endpoint, limit: int | None, limited: frozenset[str]) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._limited = limited
        # A dict drops repeats and keeps the order of the requests.
        self._channels: dict[str, dict[str, None]] = {name: {} for name in endpoint.channels}
        self.selection = NOTHING

    def apply(self, request: Mapping[str, object]) -> None:
        """Add or remove symbols as requested; a request that raises Refusal changes nothing."""
        removes = request["action"] == "unsubscribe"
        changed = {name: dict(symbols) for name, symbols in self._channels.items()}
        for name, symbols in self._parse(request).items():
            for symbol in symbols:
                if removes:
                    changed[name].pop(symbol, None)
                else:
                    changed[name][symbol] = None
        self._check_limit(changed)
        self._channels = changed
        self.selection = Selection(
            frozenset(changed["bars"]),
            frozenset(changed.get("updatedBars", ())),
            frozenset(changed.get("dailyBars", ())),
        )

    def state(self) -> dict[str, Value]:
        """Return the message that lists all subscriptions."""
        body: dict[str, Value] = {"T": "subscription"}
        for name, symbols in self._channels.items():
            if name != _SHOWN_WHEN_USED or symbols:
                body[name] = list(symbols)
        if "lulds" in self._channels:
            body |= {name: list(self._channels["trades"]) for name in _MIRRORS_OF_TRADES}
        return body

    @property
    def is_empty(self) -> bool:
        """Whether nothing is subscribed."""
        return not any(self._channels.values())

    def _parse(self, request: Mapping[str, object]) -> dict[str, list[str]]:
        parsed: dict[str, list[str]] = {}
        for name, value in request.items():
            if name == "action" or name in _MIRRORS_OF_TRADES:
                continue
            if name not in self._channels:
                raise Refusal(410 if name in KNOWN_CHANNELS else 400)
            parsed[name] = self._parse_symbols(value)
        return parsed

    def _parse_symbols(self, value: object) -> list[str]:
        try:
            symbols = list(strings(value))
        except ValueError:
            raise Refusal(400) from None
        for symbol in symbols:
            if symbol != EVERY_SYMBOL and not is_well_formed(symbol, self._endpoint.group.kind):
                raise Refusal(400)
        return symbols

    def _check_limit(self, channels: Mapping[str, Mapping[str, None]]) -> None:
        counted = {s for name in self._limited & channels.keys() for s in channels[name]}
        if self._limit is not None and len(counted - {EVERY_SYMBOL}) > self._limit:
            raise Refusal(405)
