"""
Run one block of a page inside its stage: `python -m tests.docs.run_block PAGE NUMBER`.

The block is compiled unchanged; a top-level `await` works as in a notebook.
"""

import asyncio
import sys
from pathlib import Path

from tests.docs.run_page import perform
from tests.docs.runner import BLOCK
from tests.docs.specification import STAGES, Names


async def stage(source: str, number: int) -> None:
    """Run a block between the two halves of its stage."""
    async with STAGES[number]() as names:
        await perform(source, f"block {number}", names)


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
        asyncio.run(stage(source, number))


if __name__ == "__main__":
    main()
