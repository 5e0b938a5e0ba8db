"""Events of feeds and gaps."""

from typing import Literal

import msgspec

FeedState = Literal["connected", "refused"]
GapState = Literal["filled", "unrecoverable"]


class FeedEvent(msgspec.Struct, frozen=True, tag="feed"):
    """
    A feed has changed its state.

    Attributes:
        feed: name of the feed.
        state: its new state.
        wall_ns: time of the event, in ns since 1970 UTC by the clock of the machine.
        detail: text for people. Default: empty.
    """

    feed: str
    state: FeedState
    wall_ns: int
    detail: str = ""


class GapEvent(msgspec.Struct, frozen=True, tag="gap"):
    """
    A gap in live data was filled, or can't be filled.

    Attributes:
        feed: name of the feed.
        symbols: symbols whose bars may be missing.
        start_ns: start of the gap, in ns since 1970 UTC.
        end_ns: end of the gap, in ns since 1970 UTC.
        state: whether it was filled or is unrecoverable.
        rows: number of bars that were fetched. Default: 0.
        detail: text for people. Default: empty.
    """

    feed: str
    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: GapState
    rows: int = 0
    detail: str = ""


Event = FeedEvent | GapEvent
