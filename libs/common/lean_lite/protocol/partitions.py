"""Lanes and partitions: the hash of a symbol, and its lane."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from lean_lite.market.symbols import asset_class_of

PARTITIONS = 16  # part of every subject of frames: never changes
ASSET_CLASSES = ("equity", "crypto", "forex")
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


class Lane(NamedTuple):
    """Asset class and partition: the unit of order, ownership and fencing."""

    asset_class: str
    partition: int

    def __str__(self) -> str:
        """Return the end of a subject."""
        return f"{self.asset_class}.{self.partition}"

    @classmethod
    def from_subject(cls, subject: str) -> "Lane":
        """Parse the lane at the end of a subject of frames."""
        *_, asset_class, partition = subject.split(".")
        return cls(asset_class, int(partition))


def partition_of(symbol: str) -> int:
    """Return FNV-1a-32 of the symbol modulo 16, as the `partition` mapping of NATS does."""
    value = _FNV_OFFSET
    for byte in symbol.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value % PARTITIONS


def lane_of(symbol: str) -> Lane:
    """Return the lane of a symbol."""
    return Lane(asset_class_of(symbol), partition_of(symbol))


def group_by_lane[Item](
    items: Iterable[Item], symbol_of: Callable[[Item], str]
) -> dict[Lane, list[Item]]:
    """Group items by the lane of their symbol; order is kept within a lane and among lanes."""
    lanes: dict[Lane, list[Item]] = {}
    for item in items:
        lanes.setdefault(lane_of(symbol_of(item)), []).append(item)
    return lanes


def lanes_of_partition(partition: int) -> list[Lane]:
    """Return the lanes of one partition, one per asset class."""
    return [Lane(asset_class, partition) for asset_class in ASSET_CLASSES]
