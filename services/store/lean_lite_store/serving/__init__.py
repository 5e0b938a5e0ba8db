"""Answers of the store."""
