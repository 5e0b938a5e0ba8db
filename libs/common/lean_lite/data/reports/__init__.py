"""Reports on the quality of bars."""
