"""What time it is for bars: a recording has a time of its own."""

from lean_lite.blocks import Block


def now_of(block: Block, now_ns: int) -> int:
    """Return the moment up to which bars can be expected: this one, or the end of a recording."""
    if not block.simulated:
        return now_ns
    return int(block.end_ns[-1]) if len(block) else 0
