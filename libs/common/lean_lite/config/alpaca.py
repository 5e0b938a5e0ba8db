"""The Alpaca account and where it is reached."""

from typing import Literal

from lean_lite.config.section import Secret, Section

CRYPTO_FEED = "us"
FEEDS = ("iex", "sip", CRYPTO_FEED)
NO_KEYS = (
    "there are no Alpaca keys: set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or replay recorded "
    "days with LEAN_LITE_FEED=simulator (`lean-lite demo` shows them at once)"
)


class AlpacaConfig(Section, frozen=True):
    """
    Configure the account.

    `key_id` and `secret_key` are those that Alpaca has given. `feed` is the source of live
    equities: `iex` on the free plan, `sip` with a subscription. An empty `stream_url` or `rest_url`
    means Alpaca's own; `simulated` says that they are those of a simulator, whose clock then rules
    and whose bars carry a flag.
    """

    key_id: Secret = Secret("")
    secret_key: Secret = Secret("")
    feed: Literal["iex", "sip"] = "iex"
    stream_url: str = ""
    rest_url: str = ""
    simulated: bool = False

    def feed_of(self, asset_class: str) -> str:
        """Return the account's feed of an asset class, or nothing when it has none."""
        return {"equity": self.feed, "crypto": CRYPTO_FEED}.get(asset_class, "")
