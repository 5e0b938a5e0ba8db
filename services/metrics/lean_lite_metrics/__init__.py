"""The metrics service of Lean-Lite."""
