"""Fixtures of the documentation's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.runner import running_stack


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run one stack for all tests of a module."""
    with running_stack(tmp_path_factory.mktemp("stack")) as folder:
        yield folder
