"""Every read of a bucket returns all of its current values."""

from lean_lite.bus import Bus
from lean_lite.bus.key_value import MAX_CONCURRENT, read_keys, read_values
from lean_lite.protocol.subjects import INTEREST
from tests.integration.conftest import Join


async def test_read_values_returns_the_newest_value_of_each_key_under_a_prefix(
    join: Join, admin: Bus
) -> None:
    bucket = await admin.jetstream.key_value(INTEREST)
    await bucket.put("us.BTC/USD", b"old")
    await bucket.put("us.BTC/USD", b"new")
    await bucket.put("us.ETH/USD", b"gone")
    await bucket.delete("us.ETH/USD")
    await bucket.put("usx.SOL/USD", b"of another feed")
    ingest = await join("ingest")
    assert await read_values(ingest, INTEREST, "us") == {"us.BTC/USD": b"new"}
    assert sorted(await read_keys(ingest, INTEREST, "us")) == ["us.BTC/USD", "us.ETH/USD"]


async def test_a_prefix_without_keys_has_no_values(join: Join) -> None:
    assert await read_values(await join("ingest"), INTEREST, "us") == {}


async def test_more_keys_than_concurrent_reads_are_all_returned(join: Join, admin: Bus) -> None:
    bucket = await admin.jetstream.key_value(INTEREST)
    wanted = {
        f"iex.SYN{number:04}": str(number).encode() for number in range(2 * MAX_CONCURRENT + 1)
    }
    for key, value in wanted.items():
        await bucket.put(key, value)
    assert await read_values(await join("ingest"), INTEREST, "iex") == wanted


async def test_a_single_value_is_returned_by_every_read(join: Join, admin: Bus) -> None:
    await (await admin.jetstream.key_value(INTEREST)).put("us.BTC/USD", b"wanted")
    ingest = await join("ingest")
    for _ in range(500):
        assert await read_values(ingest, INTEREST, "us") == {"us.BTC/USD": b"wanted"}
