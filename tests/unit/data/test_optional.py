import subprocess
import sys

import pytest

from lean_lite.data.optional import import_optional
from tests.harness.paths import ROOT


def output_without(library: str, call: str) -> str:
    """Return the output of a process that calls a method of `Bars` and lacks a library."""
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
def test_a_missing_library_is_named_with_its_extra(library: str, call: str, extra: str) -> None:
    assert output_without(library, call) == (
        f"{library} is not installed: run `pip install 'lean-lite[{extra}]'`"
    )


def test_plot_does_not_need_pandas() -> None:
    assert output_without("pandas", "plot()") == ""


def test_an_installed_module_is_returned() -> None:
    assert import_optional("html.parser", "nothing").HTMLParser
