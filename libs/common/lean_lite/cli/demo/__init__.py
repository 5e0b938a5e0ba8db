"""The verb `demo`."""

from lean_lite.cli.demo.demo import DemoOptions, demo

__all__ = [
    "DemoOptions",
    "demo",
]
