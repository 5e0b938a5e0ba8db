import math

import pytest

from tests.benchmarks.parts.indicators import check_close
from tests.benchmarks.shared.errors import BenchmarkError

OURS = {"lines": {"sma_20": [1.0, 2.0], "vwap": [3.0]}}


def test_indicators_of_both_libraries_may_differ_by_rounding() -> None:
    check_close({"ours": OURS, "ta_lib": {"lines": {"sma_20": [1.0, 2.0 + 1e-9]}}})


@pytest.mark.parametrize("value", [2.001, math.nan])
def test_a_different_indicator_value_is_an_error(value: float) -> None:
    with pytest.raises(BenchmarkError, match="sma_20 differs"):
        check_close({"ours": OURS, "ta_lib": {"lines": {"sma_20": [1.0, value]}}})
