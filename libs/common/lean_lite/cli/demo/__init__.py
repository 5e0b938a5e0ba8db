"""The verb `demo`: run the whole pipeline and compare the counts of its hops."""

from lean_lite.cli.demo.demo import DemoOptions, demo

__all__ = ["DemoOptions", "demo"]
