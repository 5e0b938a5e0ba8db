import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest

from lean_lite.blocks import encode_block, from_bars
from lean_lite.data.bars import Bars
from lean_lite.data.cache.disk import ABANDONED_S, MAGIC, DiskCache, Key
from lean_lite.model import TradeBar
from lean_lite.model.timestamps import from_ns
from tests.harness.paths import ROOT

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))
KILLS = 10_000 if SOAK else 150
KEY = Key("SPY", 60, 0, 10**9)
BARS = Bars(from_bars([TradeBar("SPY", from_ns(0), 1, 1, 1, 1, 1)] * 3, feed=""))
MAX_BYTES = 10**6


def key_of(number: int) -> Key:
    return KEY._replace(start_ns=number)


def files_in(disk: DiskCache) -> list[Path]:
    return [path for path in disk.path.rglob("*") if path.is_file()]


@pytest.fixture
def disk(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache", MAX_BYTES)


@pytest.fixture
def file(disk: DiskCache) -> Path:
    """Return the file of the only entry."""
    disk.write(KEY, BARS)
    (file,) = disk.path.glob("*/*")
    return file


def with_checksum(body: bytes) -> bytes:
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


BLOCK = encode_block(BARS.block)
DAMAGES = {
    "empty": b"",
    "another kind of file": b"SQLite format 3\0" * 9,
    "a bad checksum": MAGIC + b"1234" + msgspec.msgpack.encode([KEY, 0, [], [BLOCK]]),
    "nothing inside": with_checksum(b""),
    "another layout": with_checksum(msgspec.msgpack.encode({"key": KEY})),
    "too few fields": with_checksum(msgspec.msgpack.encode([KEY, 0])),
    "no block": with_checksum(msgspec.msgpack.encode([KEY, 0, [], []])),
    "invalid blocks": with_checksum(msgspec.msgpack.encode([KEY, 0, [], [b"none"]])),
    "invalid text": with_checksum(b"\x91\xa1\xff"),
    "endless nesting": with_checksum(
        b"\x96" + msgspec.msgpack.encode([KEY, 0, [], [BLOCK], b""])[1:] + b"\x91" * 100_000
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_skipped_counted_logged_and_removed(
    disk: DiskCache, file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(DAMAGES[damage])
    assert disk.read(KEY) is None
    assert (disk.corrupt, disk.failed, file.exists()) == (1, 0, False)
    (record,) = caplog.records
    assert record.message.startswith(f"skipped the damaged cache file {file}: ")
    assert disk.read(KEY) is None
    assert disk.corrupt == 1


def test_a_file_truncated_anywhere_is_skipped(disk: DiskCache, file: Path) -> None:
    disk.write(key_of(1), BARS)
    data = file.read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert disk.read(KEY) is None
    assert disk.corrupt == len(data)


def test_one_wrong_bit_anywhere_is_detected(disk: DiskCache, file: Path) -> None:
    disk.write(key_of(1), BARS)
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert disk.read(KEY) is None
    assert disk.corrupt == len(data)


def test_a_file_under_the_name_of_another_entry_is_not_read(disk: DiskCache, file: Path) -> None:
    other = KEY._replace(symbol="QQQ")
    disk.write(other, BARS)
    file.replace(disk._path(other))
    assert disk.read(other) is None
    assert disk.corrupt == 0


def test_files_that_are_no_cache_entries_are_not_removed(disk: DiskCache, file: Path) -> None:
    names = ("notes.bars", "a_b_c.bars", "60_0.bars", "60_0_1_2.bars", "060_0_1.bars", "60_0_1.txt")
    others = [file.with_name(name) for name in names]
    (disk.path / "SPY").mkdir()
    others += [disk.path / "SPY" / "60_0_1.bars", disk.path / "60_0_1.bars"]
    for other in others:
        other.write_text("mine")
    assert disk.remove(lambda _: True) == {KEY}
    assert sorted(files_in(disk)) == sorted(others)


def test_only_matching_entries_are_removed(disk: DiskCache) -> None:
    for number in range(4):
        disk.write(key_of(number), BARS)
    assert disk.remove(lambda key: key.start_ns > 1, symbol="QQQ") == set()
    assert disk.remove(lambda key: key.start_ns > 1, symbol="SPY") == {key_of(2), key_of(3)}
    assert [disk.read(key_of(number)) is not None for number in range(4)] == [True] * 2 + [
        False
    ] * 2


def test_entries_of_one_symbol_are_found_without_listing_all_others(disk: DiskCache) -> None:
    for number in range(20_000):
        other = disk._path(Key(f"SYM{number % 100}", 60, number, number + 1))
        other.parent.mkdir(parents=True, exist_ok=True)
        other.touch()
    disk.write(KEY, BARS)
    start_s = time.thread_time()
    for _ in range(20):
        assert disk.remove(lambda _: False, symbol="SPY") == set()
    assert (time.thread_time() - start_s) / 20 < 0.005
    assert disk.remove(lambda _: True, symbol="SPY") == {KEY}


def test_a_symbol_without_entries_has_no_folder(disk: DiskCache) -> None:
    keys = [KEY._replace(symbol=symbol) for symbol in ("SPY", "BTC/USD", "..", "")]
    for key in keys:
        disk.write(key, BARS)
    assert len(list(disk.path.iterdir())) == 4
    disk.discard(keys[0])
    disk.remove(lambda _: True, symbol="BTC/USD")
    assert len(list(disk.path.iterdir())) == 2
    assert disk.remove(lambda _: True) == {*keys[2:]}
    assert list(disk.path.iterdir()) == []


def test_an_entry_no_longer_wanted_when_it_is_written_leaves_no_file(disk: DiskCache) -> None:
    disk.write(KEY, BARS, lambda: False)
    assert files_in(disk) == []
    assert (disk.read(KEY), disk.failed) == (None, 0)


def test_the_folder_is_not_created_before_the_first_entry(disk: DiskCache) -> None:
    assert disk.read(KEY) is None
    assert disk.remove(lambda _: True) == set()
    assert not disk.path.exists()


def test_the_least_recently_used_entries_are_evicted(disk: DiskCache, file: Path) -> None:
    size = file.stat().st_size
    small = DiskCache(disk.path, 32 * size)
    for number in range(1, 32):
        small.write(key_of(number), BARS)
    for number in range(32):
        # Set the times of use a second apart, in reverse order.
        used_s = time.time() - number
        os.utime(small._path(key_of(number)), (used_s, used_s))
    assert small.read(key_of(31)) is not None
    small.write(key_of(32), BARS)
    left = {number for number in range(33) if small._path(key_of(number)).exists()}
    assert {0, 31, 32} <= left
    # An eviction frees a sixteenth of the bound.
    assert left == set(range(33)) - {30, 29, 28}


def test_the_folder_never_exceeds_its_bound(disk: DiskCache, file: Path) -> None:
    small = DiskCache(disk.path, 10 * file.stat().st_size + 1)
    for number in range(60):
        small.write(key_of(number % 25), BARS)
        assert sum(one.stat().st_size for one in files_in(disk)) <= small._max_bytes


def test_temporary_files_of_killed_processes_are_removed_after_an_hour(
    disk: DiskCache, file: Path
) -> None:
    old, new = disk.path / "tmp1.part", disk.path / "tmp2.part"
    for path, age_s in ((old, ABANDONED_S + 60), (new, ABANDONED_S - 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
    DiskCache(disk.path, MAX_BYTES).write(KEY, BARS)
    assert sorted(files_in(disk)) == sorted([file, new])


def test_an_entry_that_can_not_be_removed_is_counted_and_ignored(
    disk: DiskCache, file: Path
) -> None:
    data = file.read_bytes()
    file.unlink()
    file.mkdir()
    assert disk.remove(lambda _: True) == {KEY}
    assert disk.failed == 1
    file.rmdir()
    file.write_bytes(data)
    assert disk.read(KEY) is None
    disk.write(KEY, BARS)
    assert disk.read(KEY) is not None


def test_two_processes_share_a_folder(disk: DiskCache) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from tests.unit.data.cache.test_disk import BARS, DiskCache, key_of;"
        "disk = DiskCache(Path(sys.argv[1]), int(sys.argv[2]));"
        "[disk.write(key_of(number % 60), BARS) for number in range(300)];"
        "print(disk.corrupt, disk.failed)"
    )
    disk.write(KEY, BARS)
    size = files_in(disk)[0].stat().st_size
    own = DiskCache(disk.path, 40 * size)
    command = [sys.executable, "-c", code, str(disk.path), str(40 * size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        number = hits = 0
        while other.poll() is None:
            number += 1
            own.write(key_of(100 + number % 60), BARS)
            found = own.read(key_of(number * 7 % 60))
            assert found is None or list(found) == list(BARS)
            hits += found is not None
        assert other.stdout is not None
        assert other.stdout.read().split() == ["0", "0"]
    assert (own.corrupt, own.failed) == (0, 0)
    entries = files_in(disk)
    assert sum(entry.stat().st_size for entry in entries) <= 40 * size * 18 / 16
    assert all(entry.suffix == ".bars" for entry in entries)
    assert hits


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 240)
def test_a_process_killed_while_it_writes_leaves_complete_entries_only(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.harness.cache_writer", str(tmp_path), str(KILLS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    # Most kills happen after the first entries, some during the write of a temporary file.
    assert int(result.stdout) > KILLS
    assert list(tmp_path.glob("*.part"))
