import subprocess
import sys

import pytest

from lean_lite.data.optional import import_optional
from tests.harness.paths import ROOT


def told_without(library: str, call: str) -> str:
    """Return what a process says that calls a method of bars and lacks a library."""
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from tests.harness.bars import Row, block_of\n"
        "from lean_lite.data import Bars\n"
        "bars = Bars(block_of([Row()]))\n"
        "print(len(bars.to_numpy()), len(bars._repr_html_()) > 0)\n"
        f"try:\n    bars.{call}\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, *rest = done.stdout.splitlines()
    assert first == "1 True"
    return "\n".join(rest)


@pytest.mark.parametrize(
    ("library", "call", "extra"),
    [("pandas", "to_df()", "pandas"), ("plotly", "plot()", "plot")],
)
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(
    library: str, call: str, extra: str
) -> None:
    assert told_without(library, call) == (
        f"{library} is not installed: `pip install 'lean-lite[{extra}]'` brings it"
    )


def test_a_picture_needs_no_pandas() -> None:
    assert told_without("pandas", "plot()") == ""


def test_what_is_installed_is_returned() -> None:
    assert import_optional("html.parser", "nothing").HTMLParser
