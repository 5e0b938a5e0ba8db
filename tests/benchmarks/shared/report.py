"""What a benchmark has to say: a table for people, one line of JSON for programs."""

import json
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.shared.arguments import Arguments
from tests.benchmarks.shared.figure import Figure, rounded
from tests.benchmarks.shared.machine import machine


class Report:
    """Gather figures and goals."""

    def __init__(self, name: str, arguments: Arguments) -> None:
        self.name = name
        self._arguments = arguments
        self._figures: dict[str, Figure] = {}
        self._goals: dict[str, float] = {}
        self.versions: dict[str, str] = {}

    def add(self, *figures: Figure, versions: Mapping[str, str] | None = None) -> None:
        self._figures |= {figure.name: figure for figure in figures}
        self.versions |= versions or {}

    def aim(self, name: str, goal: float) -> None:
        """Want the median of a figure to reach this."""
        self._goals[name] = goal

    def to_dict(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "quick": self._arguments.quick,
            "figures": [figure.to_dict() for figure in self._figures.values()],
            "goals": [self._goal(name, goal) for name, goal in self._goals.items()],
            "machine": machine(),
            "versions": self.versions,
        }

    def print(self) -> None:
        """Print the table, unless only JSON is wanted, and the one line at the end."""
        if not self._arguments.json:
            print("\n".join(self._lines()))
        print(json.dumps(self.to_dict()))

    def _goal(self, name: str, goal: float) -> dict[str, Any]:
        value = self._figures[name].median
        return {"name": name, "value": rounded(value), "goal": goal, "ok": value >= goal}

    def _lines(self) -> list[str]:
        told = self.to_dict()
        width = max(len(figure.name) for figure in self._figures.values())
        where = told["machine"]
        lines = [f"{self.name}: {where['model']}, {where['cores']} cores, {where['system']}"]
        lines += [
            f"  {one['name']:{width}}  {_spoken(one['median']):>9} {one['unit']:8}"
            f"  ({' to '.join(map(_spoken, one['spread']))}, {one['rounds']} rounds)"
            for one in told["figures"]
        ]
        lines += [
            f"  goal {one['name']}: {_spoken(one['value'])} of {_spoken(one['goal'])}: "
            f"{'reached' if one['ok'] else 'not reached'}"
            for one in told["goals"]
        ]
        lines.append("  " + ", ".join(f"{name} {text}" for name, text in self.versions.items()))
        return lines


def _spoken(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
