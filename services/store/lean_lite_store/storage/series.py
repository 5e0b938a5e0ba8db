"""Source, Series and DayRows: which bars belong together."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.config import AlpacaConfig
from lean_lite.market.symbols import asset_class_of
from lean_lite.model.timestamps import DAY_NS
from lean_lite.protocol.history import HistoryRequest


class Source(NamedTuple):
    """What never mixes: a feed, a resolution, and whether its bars are simulated."""

    feed: str
    resolution_s: int
    simulated: bool


class Series(NamedTuple):
    """The bars of one symbol from one source."""

    source: Source
    symbol: str


def source_of(block: Block) -> Source:
    """Return the source of a block's rows."""
    return Source(block.feed, block.resolution.seconds, block.simulated)


def requested_feed(request: HistoryRequest, symbol: str, alpaca: AlpacaConfig) -> str:
    """Return the feed that a request means for a symbol; empty when any will do."""
    return request.feed or alpaca.feed_of(asset_class_of(symbol))


def day_of(start_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the UTC days since 1970 in which bars start."""
    days: npt.NDArray[np.int64] = start_ns // np.int64(DAY_NS)
    return days


class DayRows(NamedTuple):
    """Rows of one flush that belong to one source and UTC day."""

    source: Source
    day: int
    block: Block
