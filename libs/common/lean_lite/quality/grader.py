"""Grade the frames of one lane, in their order."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import Block
from lean_lite.blocks.block import Mask
from lean_lite.quality.checks import Check, level_of
from lean_lite.quality.predicates import is_price_step
from lean_lite.quality.rulesets import ruleset_for
from lean_lite.quality.window import SeenRecord, Window


class GradedBlock(NamedTuple):
    """Hold a graded block and the sequence of the frame where a rebuild would start."""

    block: Block
    tail: int


class Grader:
    """
    Grade the frames of one lane.

    The result is a pure function of the frames since `tail`: event time and `received_ns` only,
    never this machine's clock.
    """

    def __init__(self, asset_class: str, *, rewinds: bool = False) -> None:
        """
        Start with an empty window.

        With `rewinds` a frame that lies wholly before the window begins a new one, as history does
        that is fetched on demand; without it such a frame is compared with nothing.
        """
        self._asset_class = asset_class
        self._rewinds = rewinds
        self._window = Window()

    def grade(self, seq: int, block: Block) -> GradedBlock:
        """Return the block with level and reasons, and remember it; `seq` is the frame's."""
        hits = ruleset_for(block).check(block, self._asset_class)
        reasons = _reasons(len(block), hits)
        valid = _with_grades(block, reasons).is_valid
        if valid.any():
            last_start_ns = int(block["start_ns"][valid].max())
            if self._rewinds and last_start_ns < self._window.horizon_ns:
                self._window = Window()
            self._window.advance(seq, last_start_ns)
        self._compare(block, valid, reasons)
        return GradedBlock(_with_grades(block, reasons), self._window.tail(seq))

    def tail(self, seq: int) -> int:
        """Return where a rebuild would start after a frame that changes nothing."""
        return self._window.tail(seq)

    def _compare(self, block: Block, valid: Mask, reasons: npt.NDArray[np.uint64]) -> None:
        rules = ruleset_for(block)
        values = np.column_stack([block[name].view("<i8") for name in block.kind.values])
        flat = rules.flat(block) & (self._asset_class == "equity")
        symbols, starts = block.symbol_names, block["start_ns"].tolist()
        prices = rules.price(block).tolist()
        for row in np.flatnonzero(valid).tolist():
            key = f"{block.feed} {symbols[row]}"
            record = SeenRecord(values[row].tobytes(), prices[row])
            known = self._window.seen(key, starts[row])
            if known is not None and known.values == record.values:
                reasons[row] |= np.uint64(Check.S01_REPEATED.mask)
                continue
            before = self._window.previous(key, starts[row])
            if before is not None:
                reasons[row] |= np.uint64(
                    _compare_to_previous(before.price, record.price, flat=flat[row])
                )
            self._window.add(key, starts[row], record)


def _compare_to_previous(before: float, price: float, *, flat: bool) -> int:
    """Return the checks that a record fails against the one before it."""
    spike = Check.B06_FLAT_SPIKE.mask if flat and before != price else 0
    return spike | (Check.S08_STEP.mask if is_price_step(price, before) else 0)


def _reasons(rows: int, hits: dict[Check, Mask]) -> npt.NDArray[np.uint64]:
    reasons = np.zeros(rows, "<u8")
    for check, mask in hits.items():
        reasons[mask] |= np.uint64(check.mask)
    return reasons


def _with_grades(block: Block, reasons: npt.NDArray[np.uint64]) -> Block:
    return block.with_columns(level=_levels(reasons), reasons=reasons)


def _levels(reasons: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    masks, which = np.unique(reasons, return_inverse=True)
    codes = np.array([level_of(mask).code for mask in masks.tolist()], "|u1")
    levels: npt.NDArray[np.uint8] = codes[which]
    return levels
