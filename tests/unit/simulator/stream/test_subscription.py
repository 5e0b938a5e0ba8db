from typing import Any

import pytest

from lean_lite_sim.protocol.endpoints import ENDPOINTS, KNOWN_CHANNELS
from lean_lite_sim.protocol.wire import Refusal
from lean_lite_sim.stream.subscription import Subscription


def make(path: str = "/v2/iex", limit: int | None = None) -> Subscription:
    return Subscription(ENDPOINTS[path], limit, KNOWN_CHANNELS)


def subscribe(subscription: Subscription, **channels: Any) -> None:
    subscription.apply({"action": "subscribe", **channels})


def test_the_state_of_stocks_lists_every_channel_and_mirrors_trades() -> None:
    subscription = make()
    subscribe(subscription, trades=["AAPL"], bars=["*", "SPY"])
    assert subscription.state() == {
        "T": "subscription",
        "trades": ["AAPL"],
        "quotes": [],
        "bars": ["*", "SPY"],
        "updatedBars": [],
        "dailyBars": [],
        "statuses": [],
        "lulds": [],
        "corrections": ["AAPL"],
        "cancelErrors": ["AAPL"],
    }
    assert next(iter(subscription.state())) == "T"


def test_the_states_of_crypto_and_test_list_their_own_channels() -> None:
    crypto = list(make("/v1beta3/crypto/us").state())
    assert crypto == ["T", "trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"]
    assert list(make("/v2/test").state()) == ["T", "trades", "quotes", "bars"]


def test_subscribing_adds_and_unsubscribing_removes() -> None:
    subscription = make()
    subscribe(subscription, bars=["SPY"])
    subscribe(subscription, bars=["AAPL", "SPY"], dailyBars=["*"])
    subscription.apply({"action": "unsubscribe", "bars": ["SPY", "MSFT"]})
    assert subscription.state()["bars"] == ["AAPL"]
    assert subscription.selection.daily_bars == {"*"}
    subscription.apply({"action": "unsubscribe", "bars": ["AAPL"], "dailyBars": ["*"]})
    assert subscription.is_empty


@pytest.mark.parametrize(
    ("channels", "code"),
    [
        ({"bars": "SPY"}, 400),
        ({"bars": [1]}, 400),
        ({"bars": ["spy"]}, 400),
        ({"bars": ["BTC/USD"]}, 400),
        ({"candles": ["SPY"]}, 400),
        ({"orderbooks": ["SPY"]}, 410),
    ],
)
def test_a_refused_request_changes_nothing(channels: dict[str, object], code: int) -> None:
    subscription = make()
    subscribe(subscription, bars=["AAPL"])
    before = subscription.state()
    with pytest.raises(Refusal) as refused:
        subscribe(subscription, trades=["SPY"], **channels)
    assert refused.value.code == code
    assert subscription.state() == before


def test_the_symbol_limit_counts_symbols_once_without_the_star() -> None:
    subscription = make(limit=2)
    subscribe(subscription, bars=["*", "A", "B"], quotes=["A"])
    with pytest.raises(Refusal, match="405"):
        subscribe(subscription, trades=["C"])
    assert subscription.state()["trades"] == []
