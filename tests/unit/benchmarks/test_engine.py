import json
import sys
from functools import partial

import pytest

from tests.benchmarks.engine import Part, main
from tests.benchmarks.parts import resampling
from tests.benchmarks.shared.errors import BenchmarkError
from tests.benchmarks.shared.figure import Figure
from tests.benchmarks.shared.report import Report

TINY = partial(resampling.measure, size=resampling.Size(times=1, rounds=1))


def refuse(_: Report) -> None:
    message = "no peer here: install it"
    raise BenchmarkError(message)


def count(report: Report) -> None:
    report.add(Figure("bars", "bars/s", (3.0, 1.0, 2.0)))


PARTS = {
    "resampling": Part(TINY, TINY),
    "refused": Part(refuse, refuse),
    "counted": Part(count, count),
}


def test_the_last_line_is_one_json_object_with_the_agreed_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick", "--part", "resampling"], PARTS) == 0
    *table, line = capsys.readouterr().out.splitlines()
    assert "goal resample_vs_pandas" in "\n".join(table)
    result = json.loads(line)
    assert result.keys() == {"benchmark", "quick", "figures", "goals", "machine", "versions"}
    assert (result["benchmark"], result["quick"]) == ("engine", True)
    assert {figure["name"] for figure in result["figures"]} == {
        "resample_year_cpu",
        "pandas_resample_year_cpu",
        "resample_vs_pandas",
    }
    for figure in result["figures"]:
        assert figure.keys() == {"name", "unit", "median", "spread", "rounds"}
        lowest, highest = figure["spread"]
        assert 0 < lowest <= figure["median"] <= highest
    (goal,) = result["goals"]
    assert goal.keys() == {"name", "value", "goal", "ok"}
    assert goal["ok"] == (goal["value"] >= goal["goal"])
    assert result["machine"].keys() == {"cores", "model", "system"}
    assert result["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_with_json_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--part", "counted"], PARTS) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["figures"] == [
        {"name": "bars", "unit": "bars/s", "median": 2.0, "spread": [1.0, 3.0], "rounds": 3}
    ]


def test_a_part_that_can_not_be_measured_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--part", "refused"], PARTS) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "engine: no peer here: install it\n"
