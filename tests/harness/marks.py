"""Marks that several test files use."""

import os

import pytest

SOAK = bool(os.environ.get("LEAN_LITE_SOAK"))

# Each test runs once more on the official images. One group: the containers start once.
BOTH_BROKERS = pytest.mark.parametrize(
    "broker_kind",
    [
        "embedded",
        pytest.param(
            "containers", marks=[pytest.mark.containers, pytest.mark.xdist_group("containers")]
        ),
    ],
)
