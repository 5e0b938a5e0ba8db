"""Other programs rely on the layout of the newest bars in Valkey."""

import struct

import numpy as np
import pytest

from lean_lite.errors import ConfigError
from lean_lite_store.storage.day_table import RECORD
from lean_lite_store.storage.latest import LAYOUT, LatestBar, LatestBars, hash_name, pack
from lean_lite_store.storage.series import Source


def test_a_value_is_65_bytes_in_the_documented_order() -> None:
    record = np.zeros(1, RECORD)[0]
    bar = LatestBar(1_700_000_000_000_000_001, 1.5, 2.5, 0.5, 2.25, 100.0, 1.75, -1, 4)
    for name, value in bar._asdict().items():
        record[name] = value
    data = pack(record)
    assert data == struct.pack("<q6dqB", *bar)
    assert (len(data), LatestBar(*LAYOUT.unpack(data))) == (65, bar)
    assert data[:8] == (1_700_000_000_000_000_001).to_bytes(8, "little")


def test_simulated_bars_have_a_separate_hash() -> None:
    assert hash_name(Source("iex", 60, simulated=False)) == "bars:latest:iex:60"
    assert hash_name(Source("iex", 60, simulated=True)) == "bars:latest:iex:60:simulated"


def test_an_invalid_address_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"store\.redis_url"):
        LatestBars("localhost")
