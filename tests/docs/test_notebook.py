"""The notebook runs from first to last cell, in a kernel of its own, and leaves no process."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.docs.runner import environment_of
from tests.harness.paths import ROOT

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
FIGURE = "application/vnd.plotly.v1+json"
CELL_S = 60

pytestmark = [pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("notebook")]


def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def code_of(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


async def executed(home: Path, folder: Path) -> list[Any]:
    """Return the cells with their outputs, once the kernel has ended."""
    book = notebook()
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=CELL_S, kernel_name="python3", resources=place)
    private = {name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    async with client.async_setup_kernel(env=environment_of(home) | private):
        kernel = client.km
        for index, cell in enumerate(book.cells):
            await client.async_execute_cell(cell, index)
    assert isinstance(kernel, AsyncKernelManager)
    assert not await kernel.is_alive()
    return code_of(book)


def text_of(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def shown(cell: Any, kind: str) -> Any:
    (found,) = (output.data[kind] for output in cell.outputs if kind in output.get("data", {}))
    return found


def test_the_notebook_is_stored_without_outputs() -> None:
    nbformat.validate(notebook())
    cells = code_of(notebook())
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}


async def test_the_cells_of_the_notebook_show_history_a_chart_and_live_bars(
    home: Path, tmp_path: Path
) -> None:
    start, history, frame, chart, quality, live, end = await executed(home, tmp_path)
    assert start.outputs == end.outputs == []
    rows = int(text_of(frame).split()[0])
    assert text_of(frame) == f"{rows} rows, 1 below EXCELLENT\n"
    assert f"AAPL: {rows} minute bars" in shown(history, "text/html")
    assert "<th>close</th>" in shown(frame, "text/html")
    traces = {(trace["type"], trace["name"]) for trace in shown(chart, FIGURE)["data"]}
    assert {("candlestick", "EXCELLENT"), ("candlestick", "POOR"), ("bar", "volume")} == traces
    assert "B14_RANGE" in shown(quality, "text/plain")
    lines = [line.split() for line in text_of(live).splitlines()]
    assert len(lines) == 4
    assert {(symbol, grade) for symbol, _, _, grade in lines} == {
        ("SPY", "EXCELLENT"),
        ("AAPL", "EXCELLENT"),
    }
