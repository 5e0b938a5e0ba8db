"""Replies to history requests."""
