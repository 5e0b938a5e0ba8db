"""Fixtures for the situations that docs/errors.md lists."""

from tests.integration.ingest.conftest import market, simulator

__all__ = ["market", "simulator"]
