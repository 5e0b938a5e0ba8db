"""The NATS server and how this process speaks to it."""

from lean_lite.config.section import Seconds, Secret, Section


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
