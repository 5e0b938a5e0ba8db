"""Which symbols a client wants on which channels."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lean_lite_sim.market.market import is_well_formed
from lean_lite_sim.protocol.endpoints import KNOWN_CHANNELS, Endpoint
from lean_lite_sim.protocol.wire import Message, Refusal, Value, strings

EVERY_SYMBOL: Final = "*"
_MIRRORS_OF_TRADES: Final = ("corrections", "cancelErrors")
_SHOWN_WHEN_USED: Final = "imbalances"


class Selection(NamedTuple):
    """The symbols wanted of the three kinds of bars; equal ones are sent equal frames."""

    bars: frozenset[str]
    updated_bars: frozenset[str]
    daily_bars: frozenset[str]

    def wants(self, message: Message) -> bool:
        """Tell whether a message belongs to the selection."""
        if message.channel is None:
            return True
        wanted = {
            "bars": self.bars,
            "updatedBars": self.updated_bars,
            "dailyBars": self.daily_bars,
        }[message.channel]
        return message.symbol in wanted or EVERY_SYMBOL in wanted


NOTHING: Final = Selection(frozenset(), frozenset(), frozenset())


class Subscription:
    """
    The state of one connection's subscriptions.

    `limit` is the most symbols on the channels of `limited`; `*` counts as none. None: no limit.
    """

    def __init__(self, endpoint: Endpoint, limit: int | None, limited: frozenset[str]) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._limited = limited
        # A dict keeps the order in which symbols came and drops doubles.
        self._wanted: dict[str, dict[str, None]] = {name: {} for name in endpoint.channels}
        self.selection = NOTHING

    def apply(self, request: Mapping[str, object]) -> None:
        """Add or take away what a request names; raises Refusal and then changes nothing."""
        removes = request["action"] == "unsubscribe"
        changed = {name: dict(symbols) for name, symbols in self._wanted.items()}
        for name, symbols in self._named(request).items():
            for symbol in symbols:
                if removes:
                    changed[name].pop(symbol, None)
                else:
                    changed[name][symbol] = None
        self._require_room(changed)
        self._wanted = changed
        self.selection = Selection(
            frozenset(changed["bars"]),
            frozenset(changed.get("updatedBars", ())),
            frozenset(changed.get("dailyBars", ())),
        )

    def state(self) -> dict[str, Value]:
        """Give the message that lists everything subscribed."""
        body: dict[str, Value] = {"T": "subscription"}
        for name, symbols in self._wanted.items():
            if name != _SHOWN_WHEN_USED or symbols:
                body[name] = list(symbols)
        if "lulds" in self._wanted:
            body |= {name: list(self._wanted["trades"]) for name in _MIRRORS_OF_TRADES}
        return body

    @property
    def is_empty(self) -> bool:
        """Whether nothing is subscribed."""
        return not any(self._wanted.values())

    def _named(self, request: Mapping[str, object]) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for name, value in request.items():
            if name == "action" or name in _MIRRORS_OF_TRADES:
                continue
            if name not in self._wanted:
                raise Refusal(410 if name in KNOWN_CHANNELS else 400)
            named[name] = self._symbols(value)
        return named

    def _symbols(self, value: object) -> list[str]:
        try:
            symbols = list(strings(value))
        except ValueError:
            raise Refusal(400) from None
        for symbol in symbols:
            if symbol != EVERY_SYMBOL and not is_well_formed(symbol, self._endpoint.tempo.kind):
                raise Refusal(400)
        return symbols

    def _require_room(self, wanted: Mapping[str, Mapping[str, None]]) -> None:
        counted = {s for name in self._limited & wanted.keys() for s in wanted[name]}
        if self._limit is not None and len(counted - {EVERY_SYMBOL}) > self._limit:
            raise Refusal(405)
