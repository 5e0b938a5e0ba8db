"""The command `lean-lite`: verbs that are thin calls of public functions."""


def main() -> None:
    """Run the command line."""
    from lean_lite.cli.app import app  # noqa: PLC0415 - the library works without the extra `cli`

    app()


__all__ = ["main"]
