"""Grader: applies the checks to the frames of a lane, in order."""

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
    """A graded block, and the sequence of the frame where a rebuild of the window starts."""

    block: Block
    tail: int


class Grader:
    """
    Grader of one lane.

    Grades are a pure function of the frames since `tail`: of event time and `received_ns`, never of
    this machine's clock. A new owner of the lane therefore rebuilds the window from those frames,
    and its frames are byte for byte those that the former owner would have written.

    With `rewinds`, a frame entirely before the window starts a new window, because history is
    fetched in any order. Without it, such a frame is compared with nothing.
    """

    def __init__(self, asset_class: str, *, rewinds: bool = False) -> None:
        self._asset_class = asset_class
        self._rewinds = rewinds
        self._window = Window()

    def grade(self, seq: int, block: Block) -> GradedBlock:
        """Add level and reasons to the block of frame `seq`, and the block to the window."""
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
        """Return the frame where a rebuild starts after a frame `seq` without rows."""
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
            version = self._window.seen(key, starts[row])
            if version is not None and version.values == record.values:
                reasons[row] |= np.uint64(Check.S01_REPEATED.mask)
                continue
            previous = self._window.previous(key, starts[row])
            if previous is not None:
                reasons[row] |= np.uint64(
                    _compare_to_previous(previous.price, record.price, flat=flat[row])
                )
            self._window.add(key, starts[row], record)


def _compare_to_previous(before: float, price: float, *, flat: bool) -> int:
    """Return the reasons of a record that follow from the previous one."""
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
