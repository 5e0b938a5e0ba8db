"""PageToken: Alpaca's page tokens, base64 of `SYMBOL|unit|time of the last bar`."""

import base64
import binascii
from typing import NamedTuple

from lean_lite_sim.market.timestamps import SECOND_NS, format_instant_long, parse_instant

# Alpaca mirrors times around the last second that fits, so that descending pages sort upwards.
_LAST_SECOND = 9_223_372_036


class PageToken(NamedTuple):
    """End of the previous page: its last symbol and the start of its last bar."""

    symbol: str
    start_ns: int


def encode_page_token(token: PageToken, unit: str, *, descending: bool) -> str:
    """Encode a token; `unit` is the timeframe's letter M, H or D."""
    time_text = format_instant_long(_mirror(token.start_ns) if descending else token.start_ns)
    return base64.b64encode(f"{token.symbol}|{unit}|{time_text}".encode()).decode()


def decode_page_token(text: str, unit: str, *, descending: bool) -> PageToken:
    """Decode a token; raise ValueError if it is invalid or of another kind of request."""
    try:
        symbol, token_unit, time_text = base64.b64decode(text, validate=True).decode().split("|")
        instant_ns = parse_instant(time_text)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        instant_ns, token_unit, symbol = 0, "", ""
    if token_unit != unit:
        message = "invalid page_token"
        raise ValueError(message)
    return PageToken(symbol, _mirror(instant_ns) if descending else instant_ns)


def _mirror(instant_ns: int) -> int:
    return _LAST_SECOND * SECOND_NS - instant_ns
