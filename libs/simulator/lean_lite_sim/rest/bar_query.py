"""BarQuery: a request for bars, parsed and checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lean_lite_sim.market.market import Kind, is_well_formed
from lean_lite_sim.market.timeframe import Timeframe, parse_timeframe
from lean_lite_sim.market.timestamps import NEW_YORK, local_midnight, parse_instant
from lean_lite_sim.rest.page_token import PageToken, decode_page_token

MOST_ROWS: Final = 10_000
DEFAULT_ROWS: Final = 1_000

_FEEDS: Final = ("sip", "iex", "delayed_sip", "boats", "overnight", "otc")
_ADJUSTMENTS: Final = frozenset({"raw", "split", "dividend", "spin-off", "all"})
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_ASOF: Final = re.compile(r"-|\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class BarQuery:
    """A request for bars that start in [`start_ns`, `end_ns`], both included."""

    symbols: list[str]
    timeframe: Timeframe
    start_ns: int
    end_ns: int
    limit: int
    descending: bool
    token: PageToken | None


def parse_bar_query(params: Mapping[str, str], kind: Kind, now_ns: int) -> BarQuery:
    """
    Parse the parameters of a request; raise ValueError with a message like Alpaca's.

    The default start is that of the current day of feed time, the default end is now.
    """
    check_common(params)
    timeframe = parse_timeframe(_required(params, "timeframe"))
    start_ns = _instant(params, "start", local_midnight(now_ns, NEW_YORK))
    end_ns = _instant(params, "end", now_ns)
    if "start" in params and "end" in params and end_ns < start_ns:
        message = "end should not be before start"
        raise ValueError(message)
    sort = params.get("sort", "asc")
    if sort not in ("asc", "desc"):
        message = f"invalid sort: {sort}"
        raise ValueError(message)
    return BarQuery(
        symbols=parse_symbols(params, kind),
        timeframe=timeframe,
        start_ns=start_ns,
        end_ns=end_ns,
        limit=_limit(params),
        descending=sort == "desc",
        token=_token(params, timeframe.unit, descending=sort == "desc"),
    )


def parse_symbols(params: Mapping[str, str], kind: Kind) -> list[str]:
    """Parse the list of symbols, sorted and without repeats; raise ValueError."""
    symbols = sorted(set(_required(params, "symbols").split(",")))
    for symbol in symbols:
        if not is_well_formed(symbol, kind):
            message = f"invalid symbol: {symbol}"
            raise ValueError(message)
    return symbols


def check_common(params: Mapping[str, str]) -> None:
    """Check the parameters that all requests have in common; raise ValueError."""
    if (feed := params.get("feed", "iex")) not in _FEEDS:
        message = f"invalid feed: {feed}"
        raise ValueError(message)
    if not set((adjustment := params.get("adjustment", "raw")).split(",")) <= _ADJUSTMENTS:
        message = f"invalid adjustment: {adjustment}"
        raise ValueError(message)
    for name, form in (("currency", _CURRENCY), ("asof", _ASOF)):
        if name in params and not form.fullmatch(params[name]):
            message = f"invalid {name}: {params[name]}"
            raise ValueError(message)


def _required(params: Mapping[str, str], name: str) -> str:
    if not (value := params.get(name, "")):
        message = f"{name} is required"
        raise ValueError(message)
    return value


def _instant(params: Mapping[str, str], name: str, default_ns: int) -> int:
    if name not in params:
        return default_ns
    try:
        # An unescaped plus sign is decoded as a space.
        return parse_instant(params[name].replace(" ", "+"))
    except ValueError:
        message = f"invalid {name}: {params[name]}"
        raise ValueError(message) from None


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_ROWS))
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROWS:
        message = f"invalid limit: {text} is not between 1 and {MOST_ROWS}"
        raise ValueError(message)
    return int(text)


def _token(params: Mapping[str, str], unit: str, *, descending: bool) -> PageToken | None:
    text = params.get("page_token", "")
    return decode_page_token(text, unit, descending=descending) if text else None
