"""Randomness that depends on nothing but a seed and a name."""

from hashlib import blake2b

_UNIT = 2.0**-64


def named_seed(*parts: object) -> int:
    """Turn any values into an int below 2**64 that is the same in every process."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def happens(fraction: float, *parts: object) -> bool:
    """Decide the same way every time whether the named event is among this fraction of all."""
    return fraction > 0 and named_seed(*parts) * _UNIT < fraction
