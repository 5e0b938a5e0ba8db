import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lean_lite.data import DataBuffer
from lean_lite.data.buffer import QUOTE_BYTES, TRADE_BYTES
from lean_lite.model import QuoteBar, TradeBar

START = datetime(2026, 11, 23, 15, tzinfo=UTC)
SYMBOLS = ("SPY", "AAPL")


def trade(number: int, symbol: str = "SPY") -> TradeBar:
    return TradeBar(symbol, START + number * timedelta(minutes=1), 1, 1, 1, 1, number)


def quote(number: int, symbol: str = "SPY") -> QuoteBar:
    return QuoteBar(symbol, START + number * timedelta(minutes=1), 1, 1, 1, 1, 1, 1, 1, 1)


class BufferMachine(RuleBasedStateMachine):
    """Compare a buffer with a truncated list."""

    @initialize(size=st.integers(1, 8), quotes=st.integers(1, 8))
    def start(self, size: int, quotes: int) -> None:
        self.size, self.bytes = size, quotes * QUOTE_BYTES
        self.buffer = DataBuffer(max_size=self.size, max_bytes=self.bytes)
        self.model: list[TradeBar | QuoteBar] = []
        self.evicted = 0

    @rule(number=st.integers(0, 99), symbol=st.sampled_from(SYMBOLS), is_quote=st.booleans())
    def add(self, *, number: int, symbol: str, is_quote: bool) -> None:
        record = quote(number, symbol) if is_quote else trade(number, symbol)
        self.buffer.add(record)
        self.model.append(record)
        while len(self.model) > self.size or self.used_bytes() > self.bytes:
            self.model.pop(0)
            self.evicted += 1

    @rule()
    def clear(self) -> None:
        self.buffer.clear()
        self.model.clear()

    @rule(count=st.integers(0, 10), symbol=st.sampled_from([None, *SYMBOLS]))
    def get_latest(self, count: int, symbol: str | None) -> None:
        found = [one for one in self.model if symbol in (None, one.symbol)]
        assert self.buffer.get_latest(count, symbol) == (found[-count:] if count else [])
        assert self.buffer.get_latest(symbol=symbol) == found

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "buffer"):
            assert list(self.buffer) == self.model
            assert self.buffer.evicted == self.evicted
            share = max(len(self.model) / self.size, self.used_bytes() / self.bytes)
            assert self.buffer.utilization == pytest.approx(100 * share)
            assert 0 <= self.buffer.utilization <= 100

    def used_bytes(self) -> int:
        sizes = {TradeBar: TRADE_BYTES, QuoteBar: QUOTE_BYTES}
        return sum(sizes[type(one)] for one in self.model)


test_a_buffer_behaves_like_a_truncated_list = BufferMachine.TestCase


def test_concurrent_threads_lose_no_record_and_stay_within_the_bound() -> None:
    buffer = DataBuffer(max_size=500)

    def work(symbol: str) -> None:
        buffer.extend(trade(number, symbol) for number in range(1_000))
        assert len(buffer.get_latest(10)) == 10

    threads = [threading.Thread(target=work, args=(f"S{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(buffer) == 500
    assert buffer.evicted == 7_500
    for number in range(8):
        times = [one.timestamp for one in buffer.get_latest(symbol=f"S{number}")]
        assert times == sorted(times)


@pytest.mark.parametrize("bounds", [{"max_size": 0}, {"max_bytes": 10}])
def test_a_buffer_without_room_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_size must be 1 or more"):
        DataBuffer(**bounds)


@pytest.mark.parametrize("record", ["SPY", None, {"close": 1.0}])
def test_records_of_another_type_are_refused(record: Any) -> None:
    with pytest.raises(TypeError, match="a buffer holds TradeBar and QuoteBar"):
        DataBuffer().add(record)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be 0 or more"):
        DataBuffer().get_latest(-1)
