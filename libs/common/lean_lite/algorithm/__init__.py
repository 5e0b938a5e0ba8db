"""The types that a strategy handles."""
