"""Websocket paths: feed, channels and delay of each."""

from typing import Final, NamedTuple

from lean_lite_sim.market.market import Kind
from lean_lite_sim.market.timestamps import MINUTE_NS

_BARS: Final = ("bars", "updatedBars", "dailyBars")
_STOCK_CHANNELS: Final = ("trades", "quotes", *_BARS, "statuses", "lulds", "imbalances")
_CRYPTO_CHANNELS: Final = ("trades", "quotes", "orderbooks", *_BARS)
_TEST_CHANNELS: Final = ("trades", "quotes", "bars")

KNOWN_CHANNELS: Final = frozenset({*_STOCK_CHANNELS, *_CRYPTO_CHANNELS, "news"})


class DeliveryGroup(NamedTuple):
    """Kind of symbols and delay; endpoints of the same group send the same messages."""

    kind: Kind
    lag_ns: int


class Endpoint(NamedTuple):
    """One websocket path: name of its feed, group, and accepted channels."""

    path: str
    feed: str
    group: DeliveryGroup
    channels: tuple[str, ...]


_STOCKS: Final = DeliveryGroup("stocks", 0)
_DELAYED: Final = DeliveryGroup("stocks", 15 * MINUTE_NS)
_TEST: Final = DeliveryGroup("test", 0)
_CRYPTO: Final = DeliveryGroup("crypto", 0)

ENDPOINTS: Final = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v2/iex", "iex", _STOCKS, _STOCK_CHANNELS),
        Endpoint("/v2/sip", "sip", _STOCKS, _STOCK_CHANNELS),
        Endpoint("/v2/delayed_sip", "delayed_sip", _DELAYED, _STOCK_CHANNELS),
        Endpoint("/v2/test", "test", _TEST, _TEST_CHANNELS),
        Endpoint("/v1beta3/crypto/us", "us", _CRYPTO, _CRYPTO_CHANNELS),
        Endpoint("/v1beta3/crypto/us-1", "us-1", _CRYPTO, _CRYPTO_CHANNELS),
        Endpoint("/v1beta3/crypto/eu-1", "eu-1", _CRYPTO, _CRYPTO_CHANNELS),
    )
}
FEEDS: Final = frozenset(endpoint.feed for endpoint in ENDPOINTS.values())
