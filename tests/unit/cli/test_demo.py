import pytest

from lean_lite.cli.demo.demo import DemoOptions
from lean_lite.errors import ConfigError


@pytest.mark.parametrize(
    ("seconds", "strategies", "message"),
    [
        (-1.0, 1, "--seconds: must be more than 0, not -1"),
        (0.0, 1, "--seconds: must be more than 0, not 0"),
        (float("nan"), 1, "--seconds: must be more than 0, not nan"),
        (1.0, 0, "--strategies: must be 1 or more, not 0"),
    ],
)
def test_a_run_that_would_see_nothing_is_refused(
    seconds: float, strategies: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        DemoOptions(("SPY",), seconds, strategies, json=False).check()
    assert str(caught.value) == message


def test_a_run_without_an_end_is_taken() -> None:
    DemoOptions(("SPY",), None, 1, json=False).check()
