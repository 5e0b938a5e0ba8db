"""Import of optional libraries, with an error that names the extra."""

from importlib import import_module
from typing import Any


def import_optional(library: str, extra: str) -> Any:  # noqa: ANN401 - any library
    """Import a module; the ImportError names the extra that installs it."""
    try:
        return import_module(library)
    except ImportError as error:
        name = library.partition(".")[0]
        message = f"{name} is not installed: run `pip install 'lean-lite[{extra}]'`"
        raise ImportError(message) from error
