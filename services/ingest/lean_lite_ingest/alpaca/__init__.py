"""Alpaca as a market data source."""
