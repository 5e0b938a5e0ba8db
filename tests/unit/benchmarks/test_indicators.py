import math

import pytest

from tests.benchmarks.parts.indicators import check_close
from tests.benchmarks.shared.errors import BenchmarkError

OURS = {"lines": {"sma_20": [1.0, 2.0], "vwap": [3.0]}}


def test_lines_that_both_have_are_the_same() -> None:
    check_close({"ours": OURS, "ta_lib": {"lines": {"sma_20": [1.0, 2.0 + 1e-9]}}})


@pytest.mark.parametrize("value", [2.001, math.nan])
def test_another_value_is_other_work(value: float) -> None:
    with pytest.raises(BenchmarkError, match="sma_20 differs"):
        check_close({"ours": OURS, "ta_lib": {"lines": {"sma_20": [1.0, value]}}})
