"""A test reproduces every row of the table of errors."""

from tests.harness.error_table import table
from tests.harness.paths import ROOT

TESTS = ROOT / "tests"


def test_each_situation_of_the_table_is_reproduced_by_a_test() -> None:
    files = [*TESTS.glob("integration/**/*.py"), *TESTS.glob("system/**/*.py")]
    sources = "\n".join(file.read_text("utf-8") for file in files)
    assert len(table()) >= 30
    assert [situation for situation in table() if f'"{situation}"' not in sources] == []
