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
ROOM = 10**6


def key_of(number: int) -> Key:
    return KEY._replace(start_ns=number)


def files_in(folder: DiskCache) -> list[Path]:
    return [place for place in folder.path.rglob("*") if place.is_file()]


@pytest.fixture
def folder(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache", ROOM)


@pytest.fixture
def file(folder: DiskCache) -> Path:
    """Return the file of the one entry in the folder."""
    folder.write(KEY, BARS)
    (file,) = folder.path.glob("*/*")
    return file


def sealed(body: bytes) -> bytes:
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


BLOCK = encode_block(BARS.block)
DAMAGES = {
    "empty": b"",
    "another kind of file": b"SQLite format 3\0" * 9,
    "a bad checksum": MAGIC + b"1234" + msgspec.msgpack.encode([KEY, 0, [], [BLOCK]]),
    "nothing inside": sealed(b""),
    "another layout": sealed(msgspec.msgpack.encode({"key": KEY})),
    "too few fields": sealed(msgspec.msgpack.encode([KEY, 0])),
    "no block": sealed(msgspec.msgpack.encode([KEY, 0, [], []])),
    "blocks that are none": sealed(msgspec.msgpack.encode([KEY, 0, [], [b"none"]])),
    "a text that is none": sealed(b"\x91\xa1\xff"),
    "no end of nesting": sealed(
        b"\x96" + msgspec.msgpack.encode([KEY, 0, [], [BLOCK], b""])[1:] + b"\x91" * 100_000
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_skipped_counted_logged_and_removed(
    folder: DiskCache, file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(DAMAGES[damage])
    assert folder.read(KEY) is None
    assert (folder.corrupt, folder.failed, file.exists()) == (1, 0, False)
    assert [one.message for one in caplog.records] == ["cache.corrupt"]
    assert folder.read(KEY) is None
    assert folder.corrupt == 1


def test_a_file_that_was_cut_anywhere_is_skipped(folder: DiskCache, file: Path) -> None:
    folder.write(key_of(1), BARS)
    data = file.read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert folder.read(KEY) is None
    assert folder.corrupt == len(data)


def test_one_wrong_bit_anywhere_is_noticed(folder: DiskCache, file: Path) -> None:
    folder.write(key_of(1), BARS)
    data = file.read_bytes()
    for place in range(len(data)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        assert folder.read(KEY) is None
    assert folder.corrupt == len(data)


def test_a_file_under_another_name_is_not_taken_for_that(folder: DiskCache, file: Path) -> None:
    other = KEY._replace(symbol="QQQ")
    folder.write(other, BARS)
    file.replace(folder._path(other))
    assert folder.read(other) is None
    assert folder.corrupt == 0


def test_what_is_not_ours_is_left_alone(folder: DiskCache, file: Path) -> None:
    names = ("notes.bars", "a_b_c.bars", "60_0.bars", "60_0_1_2.bars", "060_0_1.bars", "60_0_1.txt")
    others = [file.with_name(name) for name in names]
    (folder.path / "SPY").mkdir()
    others += [folder.path / "SPY" / "60_0_1.bars", folder.path / "60_0_1.bars"]
    for other in others:
        other.write_text("mine")
    assert folder.remove(lambda _: True) == {KEY}
    assert sorted(files_in(folder)) == sorted(others)


def test_the_entries_that_are_chosen_are_removed(folder: DiskCache) -> None:
    for number in range(4):
        folder.write(key_of(number), BARS)
    assert folder.remove(lambda key: key.start_ns > 1, symbol="QQQ") == set()
    assert folder.remove(lambda key: key.start_ns > 1, symbol="SPY") == {key_of(2), key_of(3)}
    assert [folder.read(key_of(number)) is not None for number in range(4)] == [True] * 2 + [
        False
    ] * 2


def test_the_entries_of_one_symbol_are_found_without_a_look_at_others(folder: DiskCache) -> None:
    for number in range(20_000):
        other = folder._path(Key(f"SYM{number % 100}", 60, number, number + 1))
        other.parent.mkdir(parents=True, exist_ok=True)
        other.touch()
    folder.write(KEY, BARS)
    began_s = time.thread_time()
    for _ in range(20):
        assert folder.remove(lambda _: False, symbol="SPY") == set()
    assert (time.thread_time() - began_s) / 20 < 0.005
    assert folder.remove(lambda _: True, symbol="SPY") == {KEY}


def test_a_symbol_without_entries_has_no_folder(folder: DiskCache) -> None:
    keys = [KEY._replace(symbol=symbol) for symbol in ("SPY", "BTC/USD", "..", "")]
    for key in keys:
        folder.write(key, BARS)
    assert len(list(folder.path.iterdir())) == 4
    folder.drop(keys[0])
    folder.remove(lambda _: True, symbol="BTC/USD")
    assert len(list(folder.path.iterdir())) == 2
    assert folder.remove(lambda _: True) == {*keys[2:]}
    assert list(folder.path.iterdir()) == []


def test_what_is_no_longer_wanted_when_it_is_written_leaves_no_file(folder: DiskCache) -> None:
    folder.write(KEY, BARS, lambda: False)
    assert files_in(folder) == []
    assert (folder.read(KEY), folder.failed) == (None, 0)


def test_nothing_is_written_before_the_first_entry(folder: DiskCache) -> None:
    assert folder.read(KEY) is None
    assert folder.remove(lambda _: True) == set()
    assert not folder.path.exists()


def test_what_was_used_longest_ago_makes_room(folder: DiskCache, file: Path) -> None:
    size = file.stat().st_size
    small = DiskCache(folder.path, 32 * size)
    for number in range(1, 32):
        small.write(key_of(number), BARS)
    for number in range(32):
        # As if they had been used a second apart, the last one first.
        moment = time.time() - number
        os.utime(small._path(key_of(number)), (moment, moment))
    assert small.read(key_of(31)) is not None
    small.write(key_of(32), BARS)
    left = {number for number in range(33) if small._path(key_of(number)).exists()}
    assert {0, 31, 32} <= left
    # A sixteenth is made free at once, so that not every entry has to look.
    assert left == set(range(33)) - {30, 29, 28}


def test_the_disk_never_holds_more_than_it_may(folder: DiskCache, file: Path) -> None:
    small = DiskCache(folder.path, 10 * file.stat().st_size + 1)
    for number in range(60):
        small.write(key_of(number % 25), BARS)
        assert sum(one.stat().st_size for one in files_in(folder)) <= small._max_bytes


def test_what_killed_processes_have_left_is_removed_after_an_hour(
    folder: DiskCache, file: Path
) -> None:
    old, new = folder.path / "tmp1.part", folder.path / "tmp2.part"
    for part, age_s in ((old, ABANDONED_S + 60), (new, ABANDONED_S - 60)):
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age_s,) * 2)
    DiskCache(folder.path, ROOM).write(KEY, BARS)
    assert sorted(files_in(folder)) == sorted([file, new])


def test_what_can_not_be_removed_is_counted_and_not_found_again(
    folder: DiskCache, file: Path
) -> None:
    data = file.read_bytes()
    file.unlink()
    file.mkdir()
    assert folder.remove(lambda _: True) == {KEY}
    assert folder.failed == 1
    file.rmdir()
    file.write_bytes(data)
    assert folder.read(KEY) is None
    folder.write(KEY, BARS)
    assert folder.read(KEY) is not None


def test_two_processes_share_a_folder(folder: DiskCache) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from tests.unit.data.cache.test_disk import BARS, DiskCache, key_of;"
        "folder = DiskCache(Path(sys.argv[1]), int(sys.argv[2]));"
        "[folder.write(key_of(number % 60), BARS) for number in range(300)];"
        "print(folder.corrupt, folder.failed)"
    )
    folder.write(KEY, BARS)
    size = files_in(folder)[0].stat().st_size
    own = DiskCache(folder.path, 40 * size)
    command = [sys.executable, "-c", code, str(folder.path), str(40 * size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        number = met = 0
        while other.poll() is None:
            number += 1
            own.write(key_of(100 + number % 60), BARS)
            found = own.read(key_of(number * 7 % 60))
            assert found is None or list(found) == list(BARS)
            met += found is not None
        assert other.stdout is not None
        assert other.stdout.read().split() == ["0", "0"]
    assert (own.corrupt, own.failed) == (0, 0)
    entries = files_in(folder)
    assert sum(entry.stat().st_size for entry in entries) <= 40 * size * 18 / 16
    assert all(entry.suffix == ".bars" for entry in entries)
    assert met


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 240)
def test_a_process_that_is_killed_while_it_writes_leaves_whole_entries_only(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.harness.cache_writer", str(tmp_path), str(KILLS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    # Most kills find entries, and some have cut a file short.
    assert int(result.stdout) > KILLS
    assert list(tmp_path.glob("*.part"))
