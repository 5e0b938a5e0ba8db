"""Rulesets: which checks apply to which kind of record."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import BAR, QUOTE, Block
from lean_lite.blocks.block import Mask
from lean_lite.quality.bar_checks import check_bars, flat_without_volume
from lean_lite.quality.checks import Check
from lean_lite.quality.quote_checks import check_quotes, mid_price


class Ruleset(NamedTuple):
    """
    Checks of one kind of record.

    Attributes:
        check: returns which rows fail which check on their own.
        price: returns the price by which a record is compared with the previous one.
        flat: returns which rows are a spike if the previous price differs (check B06).
    """

    check: Callable[[Block, str], dict[Check, Mask]]
    price: Callable[[Block], npt.NDArray[np.float64]]
    flat: Callable[[Block], Mask]


def _close(block: Block) -> npt.NDArray[np.float64]:
    close: npt.NDArray[np.float64] = block["close"]
    return close


def _never(block: Block) -> Mask:
    return np.zeros(len(block), np.bool_)


RULESETS = MappingProxyType(
    {
        BAR.name: Ruleset(check_bars, _close, flat_without_volume),
        QUOTE.name: Ruleset(check_quotes, mid_price, _never),
    }
)


def ruleset_for(block: Block) -> Ruleset:
    """Return the ruleset of a block's kind."""
    return RULESETS[block.kind.name]
