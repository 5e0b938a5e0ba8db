"""Bars as numpy columns, and their bytes."""

from lean_lite.blocks.block import Block, concat, empty_block, from_bars, from_quotes
from lean_lite.blocks.codec import decode_block, encode_block
from lean_lite.blocks.schema import BAR, KINDS, QUOTE, Kind, Origin

__all__ = [
    "BAR",
    "KINDS",
    "QUOTE",
    "Block",
    "Kind",
    "Origin",
    "concat",
    "decode_block",
    "empty_block",
    "encode_block",
    "from_bars",
    "from_quotes",
]
