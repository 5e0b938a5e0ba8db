"""The ingest service of Lean-Lite."""
