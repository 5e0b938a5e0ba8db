import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_lite.blocks import BAR, Block, decode_block, empty_block, encode_block
from lean_lite.blocks.codec import VERSION
from lean_lite.errors import DecodeError
from tests.harness.bars import Row, block_of, blocks

FIELDS = ("version", "kind", "resolution_s", "feed", "flags", "rows", "symbols", "columns")
SAMPLE = encode_block(block_of([Row(), Row("AAPL")]))


def facts(block: Block) -> tuple[object, ...]:
    """Return everything that a block holds, with its columns as bytes."""
    columns = {name: (column.dtype.str, column.tobytes()) for name, column in block.columns.items()}
    return block.kind, block.resolution, block.feed, block.symbols, block.simulated, columns


def altered(**changes: Any) -> bytes:
    """Return the sample with some fields of its wire form changed."""
    wire = dict(zip(FIELDS, msgspec.msgpack.decode(SAMPLE), strict=True))
    return msgspec.msgpack.encode(list((wire | changes).values()))


def with_columns(**changes: bytes | None) -> bytes:
    """Return the sample with some columns changed, or removed if None."""
    columns = msgspec.msgpack.decode(SAMPLE)[-1] | changes
    return altered(columns={name: data for name, data in columns.items() if data is not None})


def decodes_or_raises_decode_error(data: bytes) -> bool:
    try:
        return isinstance(decode_block(data), Block)
    except DecodeError:
        return True


@given(blocks())
def test_a_block_survives_the_wire_bit_for_bit(block: Block) -> None:
    data = encode_block(block)
    assert facts(decode_block(data)) == facts(block)
    assert encode_block(decode_block(data)) == data


def test_a_nan_keeps_its_payload() -> None:
    payload = struct.unpack("<d", bytes.fromhex("efbeadde0000f87f"))[0]
    decoded = decode_block(encode_block(block_of([Row(vwap=payload, open=-0.0)])))
    assert decoded["vwap"].tobytes().hex() == "efbeadde0000f87f"
    assert decoded["open"].tobytes().hex() == "0000000000000080"


def test_decoded_columns_are_read_only_views() -> None:
    column = decode_block(SAMPLE)["close"]
    assert not column.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1.0


def test_strided_columns_are_written_in_order() -> None:
    block = block_of([Row(symbol) for symbol in "ABCDE"]).take(slice(None, None, -2))
    assert decode_block(encode_block(block)).symbol_names == ["E", "C", "A"]


def test_big_endian_columns_are_encoded_little_endian() -> None:
    block = block_of([Row()])
    swapped = block.with_columns(close=block["close"].astype(">f8"))
    assert encode_block(swapped) == encode_block(block)


@given(blocks(), st.data())
def test_truncated_bytes_are_a_decode_error(block: Block, data: st.DataObject) -> None:
    encoded = encode_block(block)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodeError, match="not a block"):
        decode_block(encoded[:cut])


@settings(max_examples=500)
@given(blocks(), st.data())
def test_altered_bytes_are_a_block_or_a_decode_error(block: Block, data: st.DataObject) -> None:
    changed = bytearray(encode_block(block))
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(changed) - 1))
        changed[index] = data.draw(st.integers(0, 255))
    assert decodes_or_raises_decode_error(bytes(changed))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_block_or_a_decode_error(data: bytes) -> None:
    assert decodes_or_raises_decode_error(data)


def test_deeply_nested_bytes_are_a_decode_error() -> None:
    nested = b"\x99" + SAMPLE[1:] + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(DecodeError, match="not a block"):
        decode_block(nested)


def test_bytes_after_the_end_are_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="not a block"):
        decode_block(SAMPLE + b"\x00")


def test_an_unknown_column_is_ignored() -> None:
    assert facts(decode_block(with_columns(later=b"more"))) == facts(decode_block(SAMPLE))


def test_an_unknown_field_at_the_end_is_ignored() -> None:
    wire = [*msgspec.msgpack.decode(SAMPLE), {"later": 1}]
    assert facts(decode_block(msgspec.msgpack.encode(wire))) == facts(decode_block(SAMPLE))


def test_an_unknown_flag_is_ignored() -> None:
    assert not decode_block(altered(flags=2)).simulated
    assert decode_block(altered(flags=3)).simulated


@pytest.mark.parametrize("name", BAR.required)
def test_an_error_names_a_missing_column(name: str) -> None:
    with pytest.raises(DecodeError, match=f"block without the column {name}"):
        decode_block(with_columns(**{name: None}))


@pytest.mark.parametrize("size", [0, 15, 17, 24])
def test_an_error_names_a_column_of_the_wrong_length(size: int) -> None:
    with pytest.raises(DecodeError, match=f"column close has {size} bytes, not 2 rows of <f8"):
        decode_block(with_columns(close=bytes(size)))


@pytest.mark.parametrize("rows", [-1, 0, 1, 3, 2**63])
def test_a_wrong_number_of_rows_is_a_decode_error(rows: int) -> None:
    with pytest.raises(DecodeError, match="rows of"):
        decode_block(altered(rows=rows))


@pytest.mark.parametrize("symbols", [["SPY", "AAPL"], []])
def test_a_symbol_index_beyond_the_table_is_a_decode_error(symbols: list[str]) -> None:
    beyond = np.array([0, 2], "<u2").tobytes()
    columns = msgspec.msgpack.decode(SAMPLE)[-1] | {"symbol": beyond}
    with pytest.raises(DecodeError, match="symbol index beyond its symbol table"):
        decode_block(altered(symbols=symbols, columns=columns))


def test_an_error_names_a_newer_version() -> None:
    with pytest.raises(DecodeError, match=f"block version {VERSION + 1} is not {VERSION}: upgrade"):
        decode_block(altered(version=VERSION + 1))


@pytest.mark.parametrize("changes", [{"kind": "rumour"}, {"resolution_s": -7}])
def test_an_unknown_kind_or_resolution_is_a_decode_error(changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="unknown kind or resolution"):
        decode_block(altered(**changes))


def test_a_block_without_rows_survives_the_wire() -> None:
    assert facts(decode_block(encode_block(empty_block("")))) == facts(empty_block(""))
