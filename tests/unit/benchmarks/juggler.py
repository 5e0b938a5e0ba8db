"""A child that throws as many balls as it is told to."""

import asyncio
from typing import Any

from tests.benchmarks.shared.turns import serve


async def throw(balls: int) -> dict[str, Any]:
    if balls > 3:
        message = f"{balls} balls are too many"
        raise ValueError(message)
    return {"thrown": balls}


if __name__ == "__main__":
    asyncio.run(serve(throw=throw))
