"""Many strategies share one connection."""

from pathlib import Path

import pytest

from tests.harness.pipeline import SYMBOLS, Pipeline

STRATEGIES = 10

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


async def test_ten_strategies_get_the_same_bars_from_one_stock_connection(tmp_path: Path) -> None:
    async with Pipeline(tmp_path / "stack", strategies=STRATEGIES) as pipeline:
        for strategy in pipeline.strategies:
            await strategy.wait_for_bars(100, 60)
        await pipeline.settle()
        await pipeline.check_truth(minimum=30)
        await pipeline.check_delivery()
        first = pipeline.strategies[0]
        for other in pipeline.strategies[1:]:
            for symbol in SYMBOLS:
                assert [(bar.start_ns, bar.seq) for bar in other.of(symbol)] == [
                    (bar.start_ns, bar.seq) for bar in first.of(symbol)
                ]
        connections = (await pipeline.ask_simulator("/sim/stats"))["connections"]
        assert connections["/v2/iex"]["total"] == 1
        assert connections["/v2/iex"]["most"] == 1
