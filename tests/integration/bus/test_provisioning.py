"""Streams and buckets are created once, and updated when their settings change."""

import msgspec
import pytest

from lean_lite.bus import Bus, create_streams
from lean_lite.protocol.subjects import EVENTS, GRADED, INTEREST, LEASES, MEMBERS, RAW
from tests.harness.frames import Feeder
from tests.harness.streams import SETTINGS, stored
from tests.integration.conftest import Join


async def test_creating_the_streams_twice_changes_nothing(admin: Bus, join: Join) -> None:
    await Feeder(await join("ingest")).bars("AAPL", range(3))
    before = await admin.jetstream.stream_info(RAW)
    await create_streams(admin, SETTINGS)
    after = await admin.jetstream.stream_info(RAW)
    assert (after.created, after.config) == (before.created, before.config)
    assert len(await stored(admin, RAW)) == 1


async def test_changed_settings_are_applied_to_streams_with_frames(admin: Bus, join: Join) -> None:
    await Feeder(await join("ingest")).bars("AAPL", range(3))
    await create_streams(admin, msgspec.structs.replace(SETTINGS, age_s=3600.0, bytes=10**7))
    for name in (RAW, GRADED):
        config = (await admin.jetstream.stream_info(name)).config
        assert (config.max_age, config.max_bytes) == (3600.0, 10**7)
    events = (await admin.jetstream.stream_info(EVENTS)).config
    assert events.max_bytes == SETTINGS.event_bytes
    assert len(await stored(admin, RAW)) == 1


@pytest.mark.parametrize("bucket", [LEASES, MEMBERS])
async def test_a_changed_lease_ttl_is_applied_to_the_buckets(
    bucket: str, admin: Bus, lease_ttl_s: float
) -> None:
    async def ttl_s() -> float | None:
        return (await admin.jetstream.stream_info(f"KV_{bucket}")).config.max_age

    assert await ttl_s() == lease_ttl_s
    admin.config = msgspec.structs.replace(admin.config, lease_ttl_s=5.0)
    await create_streams(admin, SETTINGS)
    assert await ttl_s() == 5.0


async def test_the_interest_bucket_has_no_expiry(admin: Bus) -> None:
    assert not (await admin.jetstream.stream_info(f"KV_{INTEREST}")).config.max_age


async def test_streams_use_file_storage_and_a_ten_minute_duplicate_window(admin: Bus) -> None:
    for name in (RAW, GRADED, EVENTS):
        config = (await admin.jetstream.stream_info(name)).config
        assert (config.storage, config.duplicate_window) == ("file", 600.0)
