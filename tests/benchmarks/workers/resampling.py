"""A year of minutes of one symbol as hours: ours and pandas', in turns."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pandas as pd

from lean_lite.blocks.resample import resample
from lean_lite.model import Resolution
from tests.benchmarks.shared import market
from tests.benchmarks.shared.turns import Watch, serve
from tests.benchmarks.workers.year import block_of

FOLDS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


class Year:
    """Hold the same bars as a graded block and as a frame."""

    def __init__(self, rows: Iterable[market.Row]) -> None:
        kept = list(rows)
        self.block = block_of(kept)
        self.frame = _frame(kept)

    async def lean_lite(self, times: int) -> dict[str, Any]:
        watch = Watch()
        for _ in range(times):
            hours = resample(self.block, Resolution.HOUR)
        elapsed = watch.stop()
        columns = (hours[name].tolist() for name in ("start_ns", *FOLDS))
        return elapsed._asdict() | _told(zip(*columns, strict=True))

    async def pandas(self, times: int) -> dict[str, Any]:
        watch = Watch()
        for _ in range(times):
            hours = self.frame.resample("1h").agg(FOLDS)
        elapsed = watch.stop()
        # Hours without a bar are in its result, too; nobody is charged for leaving them out.
        hours = hours.dropna(subset="open")
        starts = hours.index.astype("datetime64[ns, UTC]").astype("int64").tolist()
        return elapsed._asdict() | _told(
            zip(starts, *(hours[name].tolist() for name in FOLDS), strict=True)
        )


def _told(hours: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    rows = [("SPY", *hour) for hour in hours]
    return {"bars": len(rows), "digest": market.digest(rows)}


def _frame(rows: list[market.Row]) -> pd.DataFrame:
    index = pd.DatetimeIndex([row.start_ns for row in rows], tz="UTC", name="timestamp")
    columns = {name: [getattr(row, name) for row in rows] for name in FOLDS}
    return pd.DataFrame(columns, index)


async def main() -> None:
    year = Year(market.year())
    await serve(lean_lite=year.lean_lite, pandas=year.pandas)


if __name__ == "__main__":
    asyncio.run(main())
