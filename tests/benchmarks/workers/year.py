"""A year of minutes of one symbol as a graded block."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lean_lite.blocks import Block
from lean_lite.blocks.block import from_columns
from tests.benchmarks.shared import market

EXCELLENT = 4


def block_of(rows: Sequence[market.Row]) -> Block:
    """Return rows as validate and the store hand them on."""
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in rows] for name in market.Row._fields
    }
    columns |= {
        "origin": np.zeros(len(rows)),
        "received_ns": np.array(columns["start_ns"]) + market.MINUTE_NS,
        "level": np.full(len(rows), EXCELLENT),
        "reasons": np.zeros(len(rows)),
    }
    return from_columns("iex", columns.pop("symbol"), columns)
