"""Settings as lines of text."""

from collections.abc import Iterable

from lean_lite.config import Source


def settings_table(sources: Iterable[Source]) -> str:
    """Return one line per setting: key, value, origin."""
    rows = [(source.key, repr(source.value), source.origin) for source in sources]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "".join(
        f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}\n" for key, value, origin in rows
    )
