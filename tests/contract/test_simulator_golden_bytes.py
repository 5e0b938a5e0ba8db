"""Golden bytes: the simulator encodes messages exactly as Alpaca does."""

import msgspec
import pytest

from lean_lite_sim import Bar, Simulator
from lean_lite_sim.market.timestamps import SECOND_NS
from lean_lite_sim.protocol.wire import (
    Codec,
    bar_message,
    encode_error,
    encode_frame,
    encode_success,
    unknown_message,
)
from tests.harness.simulator_clients import fast, stream

CONNECTED = "9182a154a773756363657373a36d7367a9636f6e6e6563746564"
BAR = (
    "918aa154a162a153a44141504ca16fcb40664851eb851eb8a168cb40664ae147ae147ba16ccb40663851eb851eb8"
    "a163cb4066428f5c28f5c3a176cdee09a174d6ff6553f100a16ecd06bfa27677cb40663e892ab68cef"
)
AAPL = Bar(
    "AAPL",
    1_700_000_000 * SECOND_NS,
    178.26,
    178.34,
    177.76,
    178.08,
    60937,
    1727,
    177.954244,
)


async def test_the_greeting_has_its_golden_bytes_on_the_wire() -> None:
    async with Simulator(fast()) as simulator, stream(simulator) as client:
        assert await client.connection.recv() == bytes.fromhex(CONNECTED)


def test_the_greeting_has_its_golden_bytes() -> None:
    assert encode_success("connected", "msgpack") == bytes.fromhex(CONNECTED)


def test_a_bar_has_its_golden_bytes() -> None:
    frame = encode_frame([bar_message("bars", AAPL).encode("msgpack")], "msgpack")
    assert frame == bytes.fromhex(BAR)


def test_missing_values_are_nil_with_their_keys_present() -> None:
    bare = AAPL._replace(trade_count=None, vwap=None)
    encoded = bar_message("bars", bare).encode("msgpack")
    assert encoded.endswith(bytes.fromhex("a16ec0a27677c0"))


@pytest.mark.parametrize(
    ("instant_ns", "expected"),
    [
        (1_700_000_000 * SECOND_NS, "d6ff6553f100"),
        (1_700_000_000 * SECOND_NS + 123_456_789, "d7ff1d6f34546553f100"),
        ((1 << 34) * SECOND_NS + 1, "c70cff000000010000000400000000"),
    ],
)
def test_times_have_the_shortest_of_the_three_forms(instant_ns: int, expected: str) -> None:
    assert bytes.fromhex(expected) in unknown_message(instant_ns).encode("msgpack")


def test_an_error_has_its_keys_in_order() -> None:
    assert encode_error(402, "json") == '[{"T":"error","code":402,"msg":"auth failed"}]'


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_frames_of_any_size_are_arrays(count: int, codec: Codec) -> None:
    message = bar_message("bars", AAPL).encode(codec)
    frame = encode_frame([message] * count, codec)
    if isinstance(frame, str):
        assert len(msgspec.json.decode(frame)) == count
    else:
        assert len(msgspec.msgpack.decode(frame)) == count
