"""What every section of the configuration is made of."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Secret(str):
    """Be text that must not be shown: keys, passwords."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return stars instead of the text."""
        return "'***'" if self else "''"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Be one section of the configuration; every field has a default."""


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


class BusConfig(Section, frozen=True):
    """
    Configure the connection to NATS.

    An empty `url` means the stack that runs on this machine; `user` and `password` are for another
    server. `request_timeout_s` bounds every request; `connect_timeout_s` bounds the first
    connection, reconnects go on for ever. `feed_user` and `feed_password` are for feeds of your
    own: their bars take a second connection. A lease that is not renewed for `lease_ttl_s` is free.
    """

    url: str = ""
    user: str = ""
    password: Secret = Secret("")
    feed_user: str = ""
    feed_password: Secret = Secret("")
    connect_timeout_s: Seconds = 10.0
    request_timeout_s: Seconds = 5.0
    lease_ttl_s: Seconds = 3.0


class StreamsConfig(Section, frozen=True):
    """
    Configure what the streams keep.

    `age_s` and `bytes` bound RAW and GRADED each, `bulk_bytes` the streams of history and
    `event_bytes` that of events; the oldest frames go first. `duplicates_s` is how long the server
    remembers message ids; `replicas` is on how many servers of a cluster a stream lies.
    """

    age_s: Seconds = 3 * 86_400.0
    bytes: Count = 8 * 1024**3
    bulk_bytes: Count = 512 * 1024**2
    event_bytes: Count = 256 * 1024**2
    duplicates_s: Seconds = 600.0
    replicas: Count = 1


class IngestConfig(Section, frozen=True):
    """
    Configure ingest.

    `symbols` are subscribed from the start, besides what clients ask for; one that nobody has asked
    for since `forget_s` is left out. `pending_bars` bounds what waits for the bus per lane.
    `refill_span_s` bounds the hole that is filled; `refill_again_s` is when it is asked for once
    more, in the feed's time, because late trades correct its last bars. `rest_timeout_s` bounds a
    request to Alpaca's REST service, and `rest_requests_per_min` how many there are.
    """

    symbols: tuple[str, ...] = ()
    pending_bars: Count = 65_536
    forget_s: Seconds = 300.0
    refill_again_s: Seconds = 35.0
    refill_span_s: Seconds = 86_400.0
    rest_timeout_s: Seconds = 30.0
    rest_requests_per_min: Count = 150


class ValidateConfig(Section, frozen=True):
    """Configure validate: an idle lane repeats its head every `head_every_s`."""

    head_every_s: Seconds = 5.0


class StoreConfig(Section, frozen=True):
    """
    Configure the store.

    `path` is the folder of its files, one file per store process. `redis_url` may be empty: then
    nothing is shared there. `days_in_memory` bounds the trading days whose bars stay decoded;
    `reply_rows` bounds one answer, and `wait_s` how long one waits for bars that are on their way;
    `pending_frames` bounds what has been read and is not written yet.
    """

    path: str = ""
    redis_url: Secret = Secret("")
    days_in_memory: Count = 8
    reply_rows: Count = 2_000_000
    wait_s: Seconds = 2.0
    pending_frames: Count = 4_096


class MetricsConfig(Section, frozen=True):
    """
    Configure metrics.

    It listens on `host` and `port` (0: a free one); a service not heard for `gone_s` is gone.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    gone_s: Seconds = 5.0


class ServiceConfig(Section, frozen=True):
    """
    Configure how a service lives.

    It answers for its health on `health_host` and `health_port` (0: a free one), and tells the bus
    every `beat_s` how it is. `drain_s` bounds how long a stop may take; `log_level` and
    `log_format` shape what goes to standard error; `uvloop` swaps the event loop.
    """

    health_host: str = "127.0.0.1"
    health_port: Port = 0
    beat_s: Seconds = 1.0
    drain_s: Seconds = 2.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    uvloop: bool = True


class StackConfig(Section, frozen=True):
    """
    Configure the embedded stack.

    `feed` (also LEAN_LITE_FEED) decides between the market and the simulator. An empty `folder`
    means the user's data folder. Empty `nats_server` and `valkey_server` mean the programs that
    come with Lean-Lite. A start may take `start_s`; a shared stack lingers for `linger_s` after its
    last user. `metrics_port` is that of its page (0: a free one). `speed` and
    `start` (`open`, `last` or an ISO time) set the simulator's clock; 0 and empty mean 60 times
    from `last` for a shared stack, and 600 times from `open` for `lean-lite demo`.
    """

    feed: Literal["alpaca", "simulator"] = "alpaca"
    folder: str = ""
    nats_server: str = ""
    valkey_server: str = ""
    start_s: Seconds = 30.0
    linger_s: Seconds = 10.0
    metrics_port: Port = 0
    speed: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    start: str = ""
