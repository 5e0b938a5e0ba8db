"""From graded streams to storage."""
