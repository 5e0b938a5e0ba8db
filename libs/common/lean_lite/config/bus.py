"""The NATS server and how this process speaks to it."""

from lean_lite.config.section import Seconds, Secret, Section


class BusConfig(Section, frozen=True):
    """
    Configure the connection to NATS.

    An empty `url` means the stack that runs on this machine. `request_timeout_s` bounds every
    request; `connect_timeout_s` bounds the first connection, reconnects go on for ever.
    `feed_user` and `feed_password` are for feeds of your own: their bars take a second connection.
    """

    url: str = ""
    user: str = ""
    password: Secret = Secret("")
    feed_user: str = ""
    feed_password: Secret = Secret("")
    connect_timeout_s: Seconds = 10.0
    request_timeout_s: Seconds = 5.0
    lease_ttl_s: Seconds = 3.0
