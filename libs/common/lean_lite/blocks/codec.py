"""
Bytes of a block: little-endian columns inside a MessagePack array.

Wire form, version 1: `[version, kind, resolution_s, feed, flags, rows, symbols, columns]`, where
`columns` maps the name of a column to its bytes. New fields are only appended, new columns only
get new names; a decoder ignores the ones that it does not know.
"""

from types import MappingProxyType

import msgspec
import numpy as np

from lean_lite.blocks.block import Block, Column
from lean_lite.blocks.schema import KINDS, Kind
from lean_lite.errors import DecodeError
from lean_lite.model import Resolution

VERSION = 1
ROWS_MAX = 4_096  # of one message: about 400 KB, below the payload limit of NATS
_SIMULATED = 1


class RawBlock(msgspec.Struct, array_like=True, frozen=True):
    """Wire form of a block."""

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
    """Encode a block; columns in other byte orders are converted."""
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
    Decode the bytes of a block; its arrays are read-only views of them.

    DecodeError if the bytes are not a block, have a newer version, or lack rows or columns.
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
        message = f"block with an unknown kind or resolution: {error}"
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
                message = f"block without the column {name}"
                raise DecodeError(message)
            continue
        if len(data) != raw.rows * np.dtype(dtype).itemsize:
            message = f"column {name} has {len(data)} bytes, not {raw.rows} rows of {dtype}"
            raise DecodeError(message)
        columns[name] = np.frombuffer(data, dtype)
    return columns


def _check(block: Block) -> None:
    if len(block) and int(block["symbol"].max()) >= len(block.symbols):
        message = "block with a symbol index beyond its symbol table"
        raise DecodeError(message)
