"""Requests to subscribe and to backfill, their replies, and stored interest."""

import msgspec


class BackfillRequest(msgspec.Struct, frozen=True):
    """
    Request of the store to ingest: publish bars with `start_ns <= start < end_ns`.

    Equal requests share one fetch. The reply is sent when all bars are in the bulk stream, or after
    `wait_s`.

    Attributes:
        symbol: symbol of the bars.
        start_ns: start of the span, in ns since 1970 UTC.
        end_ns: end of the span, in ns since 1970 UTC.
        resolution_s: length of the bars, in seconds. Default: 60.
        feed: name of the feed. Default: empty, the feed that serves the symbol.
        wait_s: limit of the wait for the reply, in seconds. Default: 1.
    """

    symbol: str
    start_ns: int
    end_ns: int
    resolution_s: int = 60
    feed: str = ""
    wait_s: float = 1.0


class BackfillReply(msgspec.Struct, frozen=True):
    """
    Reply to a `BackfillRequest`.

    Attributes:
        over: whether the fetch has ended, with or without success.
        until_ns: earliest start of bars that are not final yet, in ns since 1970 UTC by the feed's
            clock; they were not fetched.
        failed: why the fetch failed. Default: empty, it did not.
    """

    over: bool
    until_ns: int
    failed: str = ""


class SubscribeRequest(msgspec.Struct, frozen=True):
    """
    A client's subscription, renewed every few seconds; a client that stops renewing is dropped.

    Attributes:
        client: random id of the client.
        symbols: symbols that the client subscribes to.
    """

    client: str
    symbols: tuple[str, ...]


class SubscribeReply(msgspec.Struct, frozen=True):
    """
    Reply to a `SubscribeRequest`.

    Attributes:
        accepted: symbols that are served.
        refused: maps every other symbol to the reason. Default: empty.
        feeds: maps each accepted symbol to the feed that serves it; records of other feeds are not
            part of the subscription. Default: empty.
    """

    accepted: tuple[str, ...]
    refused: dict[str, str] = {}
    feeds: dict[str, str] = {}


class Interest(msgspec.Struct, frozen=True):
    """
    Interest of clients in a symbol, stored in the bucket `interest`.

    Attributes:
        symbol: the symbol.
        feed: feed that serves it.
        since_ns: time of the first subscription, in ns since 1970 UTC by the feed's clock. From
            there on a new owner fills gaps.
    """

    symbol: str
    feed: str
    since_ns: int
