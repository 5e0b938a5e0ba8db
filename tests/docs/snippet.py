"""
Run one block of a page on its stage: `python -m tests.docs.snippet PAGE NUMBER`.

The block is compiled as it stands; a top-level `await` works as in a notebook.
"""

import ast
import asyncio
import inspect
import sys
from pathlib import Path

from tests.docs.programs import BLOCK
from tests.docs.stages import STAGES, Names


async def perform(source: str, stage: int) -> None:
    """Run a block between the two halves of its stage."""
    code = compile(source, f"block {stage}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with STAGES[stage]() as names:
        run = eval(code, names)
        if inspect.isawaitable(run):
            await run


def sources(page: Path) -> list[str]:
    """Return the Python blocks of a page."""
    found = BLOCK.findall(page.read_text("utf-8"))
    return [body for language, body in found if language == "python"]


def main() -> None:
    """Run the block that the command line names."""
    page, number = Path(sys.argv[1]), int(sys.argv[2])
    source = sources(page)[number]
    if number == 0:
        names: Names = {"__name__": "__main__"}
        exec(compile(source, "block 0", "exec"), names)
    else:
        asyncio.run(perform(source, number))


if __name__ == "__main__":
    main()
