import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_lite.model import DataQualityLevel
from lean_lite.quality import Check, failed_checks
from lean_lite.quality.checks import level_of
from tests.harness.paths import ROOT


@given(st.sets(st.sampled_from(Check)))
def test_reasons_name_their_checks(checks: set[Check]) -> None:
    assert set(failed_checks(sum(check.mask for check in checks))) == checks


def test_the_bits_of_checks_never_change() -> None:
    assert {check.name: check.value for check in Check} == {
        "B01_SCHEMA": 0,
        "B02_OHLC": 1,
        "B03_PRICE": 2,
        "B04_VOLUME": 3,
        "B04_COUNT": 4,
        "B05_ZERO_VOLUME": 5,
        "B06_FLAT_SPIKE": 6,
        "B10_FUTURE": 7,
        "B10_EARLY": 8,
        "S01_REPEATED": 9,
        "B14_RANGE": 10,
        "S08_STEP": 11,
        "Q01_ONE_SIDED": 12,
        "Q02_CROSSED": 13,
        "Q02_OVERLAPPING": 14,
        "Q02_LOCKED": 15,
        "Q03_WIDE": 16,
        "Q06_SIZE": 17,
    }


@pytest.mark.parametrize("check", Check)
def test_every_check_but_the_one_for_repeats_has_a_level(check: Check) -> None:
    assert (check.level is None) == (check is Check.S01_REPEATED)
    assert pickle.loads(pickle.dumps(check)) is check


@given(st.sets(st.sampled_from(Check)))
def test_the_level_is_that_of_the_worst_check(checks: set[Check]) -> None:
    levels = [check.level for check in checks if check.level is not None]
    worst = min(levels, default=DataQualityLevel.EXCELLENT)
    assert level_of(sum(check.mask for check in checks)) is worst


def test_the_table_of_checks_in_the_docs_is_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "checks_table.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
