"""The command `lean-lite`: each verb is a thin call of public functions."""

import sys

from lean_lite.errors import COULD_NOT_START, LeanLiteError


def main() -> None:
    """Run the command line; an error is one line on standard error and exit code 3."""
    try:
        from lean_lite.cli.app import app  # noqa: PLC0415 - the library works without the extra
    except ModuleNotFoundError as error:
        sys.stderr.write(f"lean-lite: {error.name} is missing: install `lean-lite[cli]`\n")
        sys.exit(COULD_NOT_START)
    try:
        app()
    except LeanLiteError as error:
        sys.stderr.write(f"lean-lite: {error}\n")
        sys.exit(COULD_NOT_START)


__all__ = ["main"]
