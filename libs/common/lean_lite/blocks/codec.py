"""
The raw codec: a block as little-endian columns inside a MessagePack array.

Wire form, version 1: `[version, kind, resolution_s, feed, flags, rows, symbols, columns]`, where
`columns` maps a column's name to its bytes. New fields come only at the end, new columns only
under new names; a reader ignores the ones it does not know.
"""

from types import MappingProxyType

import msgspec
import numpy as np

from lean_lite.blocks.block import Block, Column
from lean_lite.blocks.schema import KINDS, Kind
from lean_lite.errors import DecodeError
from lean_lite.model import Resolution

VERSION = 1
ROWS_MAX = 4_096
_SIMULATED = 1


class RawBlock(msgspec.Struct, array_like=True, frozen=True):
    """Lay a block out as it travels."""

    version: int
    kind: str
    resolution_s: int
    feed: str
    flags: int
    rows: int
    symbols: tuple[str, ...]
    columns: dict[str, bytes]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RawBlock)


def encode_block(block: Block) -> bytes:
    """Return the bytes of a block."""
    raw = RawBlock(
        VERSION,
        block.kind.name,
        block.resolution.seconds,
        block.feed,
        _SIMULATED if block.simulated else 0,
        len(block),
        block.symbols,
        {
            name: np.ascontiguousarray(block[name], dtype).tobytes()
            for name, dtype in block.kind.columns.items()
            if name in block.columns
        },
    )
    return _encoder.encode(raw)


def decode_block(data: bytes) -> Block:
    """
    Return the block of bytes that `encode_block` made; arrays are read-only views of them.

    DecodeError when the bytes are no block, of a newer version, or lack rows or columns.
    """
    try:
        raw = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"not a block: {error}"
        raise DecodeError(message) from error
    if raw.version != VERSION:
        message = f"block version {raw.version} is not {VERSION}: upgrade the reader"
        raise DecodeError(message)
    try:
        kind = KINDS[raw.kind]
        resolution = Resolution.from_seconds(raw.resolution_s)
    except (KeyError, ValueError) as error:
        message = f"block of an unknown kind or resolution: {error}"
        raise DecodeError(message) from error
    block = Block(
        kind,
        resolution,
        raw.feed,
        raw.symbols,
        MappingProxyType(_columns(raw, kind)),
        bool(raw.flags & _SIMULATED),
    )
    _check(block)
    return block


def _columns(raw: RawBlock, kind: Kind) -> dict[str, Column]:
    columns = {}
    for name, dtype in kind.columns.items():
        data = raw.columns.get(name)
        if data is None:
            if name in kind.required:
                message = f"block lacks the column {name}"
                raise DecodeError(message)
            continue
        if len(data) != raw.rows * np.dtype(dtype).itemsize:
            message = f"column {name} has {len(data)} bytes, not {raw.rows} rows of {dtype}"
            raise DecodeError(message)
        columns[name] = np.frombuffer(data, dtype)
    return columns


def _check(block: Block) -> None:
    if len(block) and int(block["symbol"].max()) >= len(block.symbols):
        message = "block names a symbol beyond its table"
        raise DecodeError(message)
