"""Run the command line as `python -m lean_lite.cli`."""

from lean_lite.cli import main

main()
