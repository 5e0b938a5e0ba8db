"""Events of feeds and gaps."""

from typing import Literal

import msgspec

FeedState = Literal["connected", "refused"]
GapState = Literal["filled", "unrecoverable"]


class FeedEvent(msgspec.Struct, frozen=True, tag="feed"):
    """Tell that a feed has changed its state."""

    feed: str
    state: FeedState
    wall_ns: int
    detail: str = ""


class GapEvent(msgspec.Struct, frozen=True, tag="gap"):
    """Tell that bars may be missing in a span, or that they were fetched again."""

    feed: str
    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: GapState
    rows: int = 0
    detail: str = ""


Event = FeedEvent | GapEvent
