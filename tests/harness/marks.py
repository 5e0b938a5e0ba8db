"""Marks that several test files use."""

import os

import pytest

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))

ONLY_EMBEDDED = pytest.mark.parametrize(
    "brokers", [pytest.param("embedded", marks=pytest.mark.containers)], indirect=True
)
