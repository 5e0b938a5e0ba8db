"""Alpaca's websocket protocol."""
