"""
Run the blocks of a page that are not programs as one session: `python -m tests.docs.run_page PAGE`.

Prints a JSON list with the output of each block.
"""

import ast
import asyncio
import inspect
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tests.docs.blocks import session_of


async def perform(source: str, place: str, names: dict[str, Any]) -> None:
    """Run a block unchanged; a top-level `await` works as in a notebook."""
    code = compile(source, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    run = eval(code, names)
    if inspect.isawaitable(run):
        await run


async def main(page: Path) -> None:
    """Run the blocks in one namespace; after the last one no task may be left."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for block in session_of(page):
        with redirect_stdout(io.StringIO()) as output:
            await perform(block.at_its_lines, str(page), names)
        printed.append(output.getvalue())
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
    sys.stdout.write(json.dumps(printed))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
