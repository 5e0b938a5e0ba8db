"""Run the ingest service."""

from lean_lite.service import run
from lean_lite_ingest.service import IngestService

run("ingest", IngestService)
