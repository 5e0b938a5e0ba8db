"""Subscribe and backfill requests, and the interest they leave."""

import msgspec


class BackfillRequest(msgspec.Struct, frozen=True):
    """
    Ask ingest for bars with `start_ns <= start < end_ns` of one symbol; the same is fetched once.

    The answer comes when all of it is in the stream of bulk frames, after `wait_s` at the latest.
    An empty `feed` means the one that serves the symbol.
    """

    symbol: str
    start_ns: int
    end_ns: int
    resolution_s: int = 60
    feed: str = ""
    wait_s: float = 1.0


class BackfillReply(msgspec.Struct, frozen=True):
    """
    Say whether a backfill is over, how far it could reach, and why it failed.

    Bars that start from `until_ns` on are not final yet in the feed's time.
    """

    over: bool
    until_ns: int
    failed: str = ""


class SubscribeRequest(msgspec.Struct, frozen=True):
    """Ask for live bars; repeated every few seconds, because a silent client is forgotten."""

    client: str
    symbols: tuple[str, ...]


class SubscribeReply(msgspec.Struct, frozen=True):
    """
    Say which symbols are served and, for the others, why not.

    `feeds` maps each accepted symbol to the feed that serves it: records of others are not meant.
    """

    accepted: tuple[str, ...]
    refused: dict[str, str] = {}
    feeds: dict[str, str] = {}


class Interest(msgspec.Struct, frozen=True):
    """Remember in the bucket `interest` that somebody wants a symbol, and since when."""

    symbol: str
    feed: str
    since_ns: int
