from typing import Any

import pytest

from lean_lite.config import Config
from lean_lite.errors import ConfigError, StackError
from lean_lite.stack.identity import account_of, check_keys, check_same_account, mode_of


def settings(feed: str = "alpaca", **alpaca: Any) -> Config:
    keys = {"key_id": "mine", "secret_key": "secret", "feed": "iex"}
    return Config().replace(stack={"feed": feed}, alpaca=keys | alpaca)


def test_an_account_is_named_without_its_key() -> None:
    account = account_of(settings())
    assert "mine" not in account
    assert account == account_of(settings(secret_key="other"))
    assert account != account_of(settings(key_id="other"))
    assert account_of(settings("simulator")) == "simulator"


def test_the_feed_selects_the_mode() -> None:
    assert (mode_of(settings()), mode_of(settings("simulator"))) == ("live", "demo")


@pytest.mark.parametrize("key", ["key_id", "secret_key"])
def test_alpaca_needs_both_keys_and_the_simulator_none(key: str) -> None:
    check_keys(settings())
    check_keys(settings("simulator", **{key: ""}))
    with pytest.raises(ConfigError, match=f"alpaca.{key}: .*APCA_API_KEY_ID"):
        check_keys(settings(**{key: ""}))


@pytest.mark.parametrize(
    ("feed", "account", "message"),
    [
        ("sip", account_of(settings()), "serves the feed sip, not iex: stop it"),
        ("iex", "abc", r"serves account abc, not \w{12} \(hashes of the key ids\): stop it"),
    ],
)
def test_a_stack_of_another_feed_or_account_is_refused(
    feed: str, account: str, message: str
) -> None:
    with pytest.raises(StackError, match=message):
        check_same_account(settings(), feed, account, "/folder")
    check_same_account(settings(), "iex", account_of(settings()), "/folder")
