"""Every setting, one class per section, with its documentation."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]

CRYPTO_FEED = "us"
FEEDS = ("iex", "sip", CRYPTO_FEED)  # of an Alpaca account; feeds of users have other names
NO_KEYS = (
    "there are no Alpaca keys: set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or replay recorded "
    "days with LEAN_LITE_FEED=simulator (`lean-lite demo` shows them)"
)


class Secret(str):
    """Text that is masked wherever settings are shown: a key, a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return stars instead of the text."""
        return "'***'" if self else "''"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base class of a section of the configuration; every field has a default."""


class AlpacaConfig(Section, frozen=True):
    """
    The Alpaca account, and where it is reached; only ingest is given its keys.

    Attributes:
        key_id: key of the account, as Alpaca issued it.
        secret_key: secret of the key.
        feed: source of live equities. `iex` is part of the free plan and therefore the default;
            `sip`, the consolidated tape, needs a subscription.
        stream_url: address of the websockets; empty means Alpaca's.
        rest_url: address of the REST service; empty means Alpaca's.
        simulated: whether both addresses are those of a simulator. Its clock is then the feed's
            clock, and its bars carry a flag.
    """

    key_id: Secret = Secret("")
    secret_key: Secret = Secret("")
    feed: Literal["iex", "sip"] = "iex"
    stream_url: str = ""
    rest_url: str = ""
    simulated: bool = False

    def feed_of(self, asset_class: str) -> str:
        """Return the account's feed of an asset class; empty if it has none."""
        return {"equity": self.feed, "crypto": CRYPTO_FEED}.get(asset_class, "")


class BusConfig(Section, frozen=True):
    """
    The NATS server, and the time limits of a connection to it.

    Attributes:
        url: address of the server; empty means the stack that runs on this machine.
        user: user on a server that is named by `url`.
        password: password of `user`.
        feed_user: user for a program's own feeds. Their bars take a second connection, because
            only this role may publish raw frames.
        feed_password: password of `feed_user`.
        connect_timeout_s: limit of the first connection, in seconds; an established connection
            reconnects without a limit.
        request_timeout_s: limit of every request and publish, in seconds.
        lease_ttl_s: seconds until a lease that is not renewed expires. Short enough that a standby
            takes over in seconds, long enough to survive a lost renewal.
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
    What the streams retain; the oldest frames are dropped first.

    A stack on this machine lowers the sizes if its disk is small: the server refuses streams that
    might need more space than there is.

    Attributes:
        age_s: seconds that a frame is retained. Three days bridge a weekend without a store.
        bytes: limit of RAW and of GRADED each, in bytes.
        bulk_bytes: limit of BULK_RAW and of BULK_GRADED each, in bytes. Consumers hold publishers
            of history back, so that these streams stay small.
        event_bytes: limit of EVENTS, in bytes.
        duplicates_s: seconds that the server remembers message ids. Far longer than a publisher
            retries a frame; it takes little memory, since there is one id per frame.
        replicas: number of servers of a cluster that hold a copy of each stream.
    """

    age_s: Seconds = 3 * 86_400.0
    bytes: Count = 8 * 1024**3
    bulk_bytes: Count = 512 * 1024**2
    event_bytes: Count = 256 * 1024**2
    duplicates_s: Seconds = 600.0
    replicas: Count = 1


class IngestConfig(Section, frozen=True):
    """
    The service that receives market data.

    Attributes:
        symbols: symbols to subscribe from the start, besides those that clients request.
        pending_bars: limit of bars of one lane that wait for the bus.
        interest_ttl_s: seconds until a symbol that no client renews is unsubscribed. A strategy may
            restart in that time without a gap.
        refill_repeat_s: seconds, by the feed's clock, until a filled gap is fetched a second time.
            Late trades correct a bar up to half a minute after its end.
        refill_span_s: longest gap that is filled, in seconds.
        rest_timeout_s: limit of one request to Alpaca's REST service, in seconds.
        rest_requests_per_min: limit of requests per minute. The free plan allows 200; what is left
            is for other programs of the account.
    """

    symbols: tuple[str, ...] = ()
    pending_bars: Count = 65_536
    interest_ttl_s: Seconds = 300.0
    refill_repeat_s: Seconds = 35.0
    refill_span_s: Seconds = 86_400.0
    rest_timeout_s: Seconds = 30.0
    rest_requests_per_min: Count = 150


class ValidateConfig(Section, frozen=True):
    """
    The service that grades bars.

    Attributes:
        watermark_every_s: seconds after which an idle lane repeats its watermark. A client that
            lost the last message of a lane finds out after this time.
    """

    watermark_every_s: Seconds = 5.0


class StoreConfig(Section, frozen=True):
    """
    The service that stores bars and answers history.

    Attributes:
        path: folder of its files, one file per store process; a stack on this machine sets it.
        redis_url: address of Valkey or Redis for the latest bars; empty means none.
        days_in_memory: number of UTC days whose bars stay decoded in memory.
        reply_rows: limit of rows in one reply, which bounds the memory of a request.
        wait_s: seconds that a reply waits for frames that are published and not yet stored.
        pending_frames: limit of frames that are read and not yet written.
    """

    path: str = ""
    redis_url: Secret = Secret("")
    days_in_memory: Count = 8
    reply_rows: Count = 2_000_000
    wait_s: Seconds = 2.0
    pending_frames: Count = 4_096


class MetricsConfig(Section, frozen=True):
    """
    The service that adds up metrics and serves them.

    Attributes:
        host: address to listen on; by default this machine only.
        port: port to listen on; 0 means a free one.
        gone_s: seconds without a heartbeat after which a process counts as gone: five heartbeats
            at the default `service.heartbeat_s`.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    gone_s: Seconds = 5.0


class ServiceConfig(Section, frozen=True):
    """
    What all services share: health, heartbeats, logs and shutdown.

    Attributes:
        health_host: address of the health endpoints; by default this machine only.
        health_port: port of the health endpoints; 0 means a free one.
        heartbeat_s: seconds between two heartbeats.
        drain_s: time limit of a clean stop, in seconds.
        log_level: lowest level that is logged.
        log_format: `json` for machines, `text` for people; both go to standard error.
        uvloop: whether to run on uvloop, where there is one for the platform.
    """

    health_host: str = "127.0.0.1"
    health_port: Port = 0
    heartbeat_s: Seconds = 1.0
    drain_s: Seconds = 2.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    uvloop: bool = True


class StackConfig(Section, frozen=True):
    """
    The stack of this machine: brokers, services and perhaps the simulator.

    Attributes:
        feed: `alpaca` for the market or `simulator` for recorded days; also LEAN_LITE_FEED.
        folder: folder of data and logs; empty means `lean-lite` in the user's data folder.
        nats_server: path of a NATS server; empty means the one installed with Lean-Lite.
        valkey_server: path of a Valkey server; empty means the one installed with Lean-Lite.
        start_s: time limit of a start, in seconds.
        linger_s: seconds that a shared stack continues to run without a user. Programs that are run
            one after the other then share it.
        metrics_port: port of the metrics service; 0 means a free one.
        speed: speed of the simulator's clock, in feed seconds per second. 0 means 60 for a shared
            stack and 600 for `lean-lite demo`.
        start: time at which the simulator's clock starts: `open`, `last` or an ISO time. Empty
            means `last` for a shared stack and `open` for `lean-lite demo`.
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
