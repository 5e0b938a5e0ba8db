"""Services that meet what the page on errors lists."""

from tests.integration.ingest.conftest import market, simulator

__all__ = ["market", "simulator"]
