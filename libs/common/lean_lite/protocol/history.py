"""History requests, replies and gaps."""

import msgspec


class HistoryRequest(msgspec.Struct, frozen=True):
    """
    Ask for stored bars with `start_ns <= start < end_ns`.

    `min_seq` maps a lane to the GRADED sequence that the answer must include; `after` keeps only
    rows that came in a later frame of their lane. An empty `feed` means the account's feed of the
    symbol's asset class; of a class that the account has none for, the feed with the newest bar.
    Without symbols the answer has no rows, only `through`, up to the end of GRADED.

    With `wait_s` the store fetches what it lacks, and answers after that long at the latest: with
    `done` below 1 and no rows while it is still at work, except when `wait_s` is 0. Without it the
    answer is what is stored.
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
    """Name a time in which a symbol may have had bars that could not be had, and why."""

    symbol: str
    start_ns: int
    end_ns: int
    reason: str


class HistoryReply(msgspec.Struct, frozen=True):
    """
    Open the answer to a `HistoryRequest`: one snapshot.

    `through` maps a lane to the last GRADED sequence that the store has applied. That many encoded
    blocks follow as chunks, one symbol each, every symbol's rows in order of start. `done` is the
    share of the span that need not be waited for any more; `gaps` is what could not be had of it.
    """

    through: dict[str, int]
    rows: int
    chunks: int
    done: float = 1.0
    gaps: tuple[Gap, ...] = ()
