"""A feed as a user would write one, whose source is a table."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lean_lite.data import DataFeed
from lean_lite.model import Resolution, TradeBar

SYMBOL = "EUR/USD"
MINUTE = timedelta(minutes=1)


def _last_weekday(day: datetime) -> datetime:
    """Return the newest day before this one that is no Saturday or Sunday."""
    before = day - timedelta(days=1)
    return before if before.weekday() < 5 else _last_weekday(before)


# In the near past: the grade log keeps a week.
NIGHT = _last_weekday(datetime.now(UTC)).replace(hour=2, minute=0, second=0, microsecond=0)


def rate(number: int, symbol: str = SYMBOL, **more: object) -> TradeBar:
    """Return the bar of a minute, which closes at 1.1 and so many pips."""
    close = round(1.1 + number / 10_000, 4)
    given: dict[str, object] = {
        "timestamp": NIGHT + number * MINUTE,
        "open": close,
        "high": round(close + 0.0002, 4),
        "low": round(close - 0.0002, 4),
        "close": close,
        "volume": 100.0 + number,
        **more,
    }
    return TradeBar(symbol, **given)  # type: ignore[arg-type]


class CustomForexFeed(DataFeed):
    """Publish the bars of a test, and keep the calls and the requests for history."""

    past: Sequence[TradeBar] = ()
    refused: frozenset[str] = frozenset({"XXX/YYY"})
    connects = True

    async def connect(self) -> bool:
        self.calls: list[str] = ["connect"]
        self.history_requests: list[tuple[datetime, datetime]] = []
        return self.connects

    async def disconnect(self) -> None:
        self.calls.append("disconnect")

    async def subscribe(self, symbol: str) -> bool:
        self.calls.append(f"subscribe {symbol}")
        return symbol not in self.refused

    async def unsubscribe(self, symbol: str) -> bool:
        self.calls.append(f"unsubscribe {symbol}")
        return True

    async def get_historical_data(
        self, symbol: str, start_date: datetime, end_date: datetime, resolution: Resolution
    ) -> list[TradeBar]:
        await asyncio.sleep(0)
        self.history_requests.append((start_date, end_date))
        return [bar for bar in self.past if bar.symbol == symbol]

    async def publish_all(self, bars: Sequence[TradeBar]) -> None:
        for bar in bars:
            await self.publish(bar)
