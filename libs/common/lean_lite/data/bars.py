"""What history returns: a sequence of bars over columns."""

from collections.abc import Iterator, Sequence
from typing import overload

from lean_lite.algorithm.data_models import TradeBar
from lean_lite.blocks import Block
from lean_lite.messages import Gap


class Bars(Sequence[TradeBar]):
    """
    Be a read-only sequence of bars of one resolution, in order of start.

    `block` holds the same bars as numpy columns; a bar is made only when it is asked for. `gaps`
    names what was asked for and could not be had; `expected` is how many bars of regular trading
    the calendar has in that time. A slice has both of the whole.
    """

    def __init__(self, block: Block, gaps: tuple[Gap, ...] = (), expected: int = 0) -> None:
        """Show a block as bars."""
        self.block = block
        self.gaps = gaps
        self.expected = expected

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.block)

    def __iter__(self) -> Iterator[TradeBar]:
        """Yield the bars."""
        return self.block.bars()

    @overload
    def __getitem__(self, index: int) -> TradeBar: ...

    @overload
    def __getitem__(self, index: slice) -> "Bars": ...

    def __getitem__(self, index: int | slice) -> "TradeBar | Bars":
        """Return one bar, or a slice that copies nothing; IndexError beyond the end."""
        if isinstance(index, slice):
            return Bars(self.block.take(index), self.gaps, self.expected)
        return self.block.bar(range(len(self))[index])

    def __repr__(self) -> str:
        """Return how many bars of which symbols."""
        return (
            f"<Bars {', '.join(self.block.symbols)}: {len(self)} x {self.block.resolution.value}>"
        )
