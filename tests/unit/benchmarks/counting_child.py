"""A child process that counts to a number of at most 3."""

import asyncio
from typing import Any

from tests.benchmarks.shared.turns import serve


async def count(number: int) -> dict[str, Any]:
    if number > 3:
        message = f"{number} is above 3"
        raise ValueError(message)
    return {"counted": number}


if __name__ == "__main__":
    asyncio.run(serve(count=count))
