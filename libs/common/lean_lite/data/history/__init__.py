"""History: read stored bars, and fetch what is not stored."""
