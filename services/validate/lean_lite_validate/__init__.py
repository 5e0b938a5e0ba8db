"""The validate service of Lean-Lite."""
