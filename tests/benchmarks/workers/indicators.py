"""The usual indicators over a year of minutes, and bar by bar."""

import asyncio
from typing import Any

from lean_lite.data import Bars
from lean_lite.data.indicators import Indicators
from tests.benchmarks.shared import market
from tests.benchmarks.shared.turns import Watch, serve
from tests.benchmarks.workers.year import block_of


class Year:
    """Hold the bars as history returns them."""

    def __init__(self) -> None:
        self._bars = Bars(block_of(list(market.year())))

    async def over(self, times: int) -> dict[str, Any]:
        watch = Watch()
        for _ in range(times):
            lines = Indicators().over(self._bars)
        elapsed = watch.stop()
        values = {name: line[market.SAMPLED].tolist() for name, line in lines.items()}
        return elapsed._asdict() | {"lines": values}

    async def update(self, bars: int) -> dict[str, Any]:
        given = list(self._bars[:bars])
        indicators = Indicators()
        watch = Watch()
        values: dict[str, float] = {}
        for bar in given:
            values = indicators.update(bar)
        elapsed = watch.stop()
        return elapsed._asdict() | {"lines": {name: [value] for name, value in values.items()}}


async def main() -> None:
    year = Year()
    await serve(over=year.over, update=year.update)


if __name__ == "__main__":
    asyncio.run(main())
