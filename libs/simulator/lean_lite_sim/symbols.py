"""How a symbol must be written."""

import re
from typing import Final

from lean_lite_sim.market import Kind

_STOCK: Final = re.compile(r"[A-Z][A-Z0-9]{0,11}([.-][A-Z0-9]{1,4}){0,2}")
_PAIR: Final = re.compile(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}")


def is_well_formed(symbol: str, kind: Kind) -> bool:
    """Tell whether a symbol could exist: `BRK.B` for stocks, `BTC/USD` for crypto."""
    form = _PAIR if kind == "crypto" else _STOCK
    return form.fullmatch(symbol) is not None
