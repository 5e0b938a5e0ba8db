"""Libraries that not everyone needs."""

from importlib import import_module
from typing import Any


def import_optional(library: str, extra: str) -> Any:  # noqa: ANN401 - any library
    """Return a module; ImportError names the extra that brings it."""
    try:
        return import_module(library)
    except ImportError as error:
        name = library.partition(".")[0]
        message = f"{name} is not installed: `pip install 'lean-lite[{extra}]'` brings it"
        raise ImportError(message) from error
