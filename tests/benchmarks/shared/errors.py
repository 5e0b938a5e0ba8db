"""What keeps a benchmark from saying anything."""


class BenchmarkError(Exception):
    """Say why there is no result, and what to do."""
