"""Subscribe to symbols as a strategy does, and compare RAW with the simulator's recording."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lean_lite.blocks import Origin, decode_block
from lean_lite.bus import Bus, request_reply
from lean_lite.errors import BusUnavailable, Busy
from lean_lite.protocol.control import SubscribeReply, SubscribeRequest
from lean_lite.protocol.subjects import RAW, SUBSCRIBE
from lean_lite_sim import Simulator
from tests.harness.streams import stored
from tests.harness.waiting import until

MINUTE_NS = 60_000_000_000


class RawBar(NamedTuple):
    """Hold one row of RAW."""

    symbol: str
    start_ns: int
    origin: int
    received_ns: int
    values: tuple[float, ...]
    vwap: float
    trade_count: int
    simulated: bool


def alpaca(simulator: Simulator, **more: object) -> Mapping[str, object]:
    """Return the settings of an account at the simulator."""
    return {
        "key_id": "simulator",
        "secret_key": "simulator",
        "stream_url": simulator.stream_url,
        "rest_url": simulator.rest_url,
        "simulated": True,
        **more,
    }


class Market:
    """Stand in for strategies, and read RAW."""

    def __init__(self, admin: Bus, client: Bus) -> None:
        self._admin = admin
        self._client = client

    async def subscribe(self, *symbols: str) -> SubscribeReply:
        """Subscribe, with retries until ingest answers."""

        async def answered() -> SubscribeReply | None:
            request = SubscribeRequest("test", symbols)
            try:
                return await request_reply(self._client, SUBSCRIBE, request, SubscribeReply)
            except (BusUnavailable, Busy):
                return None

        reply = await until(answered, "a reply of ingest")
        assert reply is not None
        return reply

    async def bars(self, symbol: str = "") -> list[RawBar]:
        """Return all rows of RAW in their order."""
        found = []
        for frame in await stored(self._admin, RAW):
            block = decode_block(frame.payload)
            columns = [block[name].tolist() for name in ("open", "high", "low", "close", "volume")]
            rows = zip(
                block.symbol_names,
                block["start_ns"].tolist(),
                block["origin"].tolist(),
                block["received_ns"].tolist(),
                zip(*columns, strict=True),
                block["vwap"].tolist(),
                block["trade_count"].tolist(),
                strict=True,
            )
            found += [RawBar(*(*row, block.simulated)) for row in rows]
        return [bar for bar in found if symbol in ("", bar.symbol)]

    async def reach(self, symbol: str, count: int) -> list[RawBar]:
        """Wait until RAW has `count` minutes of a symbol."""

        async def reached() -> list[RawBar]:
            bars = await self.bars(symbol)
            return bars if len({bar.start_ns for bar in bars}) >= count else []

        return await until(reached, f"{count} minutes of {symbol}", 90)

    async def wait_until_complete(self, simulator: Simulator, symbols: Iterable[str]) -> None:
        """Wait until RAW has every recorded minute from the start of the clock until now."""
        first_ns, now_ns = simulator.clock.start_ns, simulator.clock.now_ns()
        wanted = {
            symbol: {
                bar.start_ns
                for bar in simulator.recording(symbol)
                if first_ns <= bar.start_ns and bar.end_ns < now_ns
            }
            for symbol in symbols
        }
        assert all(wanted.values())

        async def missing() -> dict[str, int]:
            counts = {}
            for symbol, starts in wanted.items():
                counts[symbol] = len(starts - {bar.start_ns for bar in await self.bars(symbol)})
            return counts

        async def complete() -> bool:
            return not any((await missing()).values())

        try:
            await until(complete, "every minute", 90)
        except AssertionError as error:
            raise AssertionError(f"minutes missing: {await missing()}") from error


def check_bits(bars: Iterable[RawBar], simulator: Simulator) -> None:
    """Prove that rows equal the recording, bit for bit."""
    truth = {
        (bar.symbol, bar.start_ns): bar
        for symbol in {bar.symbol for bar in bars}
        for bar in simulator.recording(symbol)
    }
    for bar in bars:
        true = truth[bar.symbol, bar.start_ns]
        assert bar.values == (true.open, true.high, true.low, true.close, float(true.volume))
        assert bar.trade_count == (-1 if true.trade_count is None else true.trade_count)
        if true.vwap is None:
            assert math.isnan(bar.vwap)
        else:
            assert bar.vwap == true.vwap
        assert bar.simulated


def of(bars: Iterable[RawBar], origin: Origin) -> list[RawBar]:
    return [bar for bar in bars if bar.origin == origin]
