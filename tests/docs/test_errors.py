"""The table of errors says what the code says, and each row has a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "errors.md").read_text().splitlines()
ROWS = [line.strip("|").split("|") for line in TABLE if re.search(r"`test_\w+`", line)]


def sources() -> str:
    files = [*ROOT.glob("libs/common/**/*.py"), *ROOT.glob("services/**/*.py")]
    # A message that goes over two lines is one text.
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))


SOURCES = sources()
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").glob("**/test_*.py"))


def test_the_table_has_the_situations_that_users_meet() -> None:
    assert len(ROWS) >= 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_a_row_quotes_what_the_code_says_and_names_its_test(row: list[str]) -> None:
    _, said, code, test = (cell.strip() for cell in row)
    for quoted in re.findall(r"`([^`]+)`", said):
        assert quoted in SOURCES, f"nothing says {quoted!r}"
    assert code in {"none", "1", "3"}
    assert f"def {test.strip('`')}(" in TESTS
