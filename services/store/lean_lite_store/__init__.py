"""The store service of Lean-Lite."""
