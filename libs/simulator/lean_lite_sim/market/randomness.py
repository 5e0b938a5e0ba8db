"""Random decisions that depend only on a seed and a name, so every process makes the same ones."""

from hashlib import blake2b

_UNIT = 2.0**-64


def named_seed(*parts: object) -> int:
    """Hash values to an int below 2**64."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def happens(fraction: float, *parts: object) -> bool:
    """Decide whether a named event is among this fraction of all."""
    return fraction > 0 and named_seed(*parts) * _UNIT < fraction
