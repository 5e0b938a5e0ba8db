"""Request for history, its reply, and gaps."""

import msgspec


class HistoryRequest(msgspec.Struct, frozen=True):
    """
    Request to the store for bars with `start_ns <= start < end_ns`.

    Attributes:
        symbols: symbols of the bars. Default: none; the reply then has no rows, and `through`
            reaches the end of GRADED.
        start_ns: start of the span, in ns since 1970 UTC. Default: 0.
        end_ns: end of the span, in ns since 1970 UTC. Default: the largest.
        resolution_s: length of the bars, in seconds. Default: 60.
        feed: name of the feed. Default: empty, the account's feed of the symbol's asset class; for
            a class without one (forex) the feed with the newest bar.
        min_seq: maps a lane to a GRADED sequence that the reply must include. Default: empty.
        after: maps a lane to a GRADED sequence; only rows of later frames are sent. Default: empty.
        wait_s: with a number the store fetches missing bars first, and replies after this many
            seconds at the latest. While the fetch continues, the reply has no rows and `done` is
            below 1; but 0 returns what is stored. Default: None, nothing is fetched.
    """

    symbols: tuple[str, ...] = ()
    start_ns: int = 0
    end_ns: int = 2**63 - 1
    resolution_s: int = 60
    feed: str = ""
    min_seq: dict[str, int] = {}
    after: dict[str, int] = {}
    wait_s: float | None = None


class Gap(msgspec.Struct, frozen=True):
    """
    Span in which bars of a symbol may be missing.

    Attributes:
        symbol: the symbol.
        start_ns: start of the span, in ns since 1970 UTC.
        end_ns: end of the span, in ns since 1970 UTC.
        reason: why the bars could not be fetched.
    """

    symbol: str
    start_ns: int
    end_ns: int
    reason: str


class HistoryReply(msgspec.Struct, frozen=True):
    """
    First message of the reply to a `HistoryRequest`; the encoded blocks follow.

    The reply is one snapshot. A block holds rows of one symbol; the rows of a symbol are in order
    of start.

    Attributes:
        through: maps a lane to the last GRADED sequence that the snapshot includes.
        rows: number of rows in all blocks.
        chunks: number of blocks that follow.
        done: share of the span that has been fetched or can't be, 0 to 1. Default: 1.
        gaps: spans that could not be fetched. Default: none.
    """

    through: dict[str, int]
    rows: int
    chunks: int
    done: float = 1.0
    gaps: tuple[Gap, ...] = ()
