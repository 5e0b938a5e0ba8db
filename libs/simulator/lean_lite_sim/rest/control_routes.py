"""ControlRoutes: paths that show and control the simulator itself, without keys."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lean_lite_sim.faults import FaultHistory, Faults
from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.rest.replies import error_reply, json_reply, row_of
from lean_lite_sim.stats import Stats


class ControlRoutes:
    """Paths of clock, counters, symbols, recording and faults."""

    def __init__(
        self,
        clock: FeedClock,
        stats: Stats,
        *,
        symbols: Sequence[str],
        recording: Callable[[str], Sequence[Bar]],
        faults: FaultHistory,
        arm: Callable[[dict[str, object]], Faults],
        clear: Callable[[], Faults],
    ) -> None:
        self._clock = clock
        self._stats = stats
        self._symbols = symbols
        self._recording = recording
        self._faults = faults
        self._arm = arm
        self._clear = clear

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sim/clock", self._on_clock),
            Route("/sim/stats", self._on_stats),
            Route("/sim/symbols", self._on_symbols),
            Route("/sim/recording", self._on_recording),
            Route("/sim/faults", self._on_faults),
            Route("/sim/faults", self._on_arm, methods=["POST"]),
            Route("/sim/faults", self._on_clear, methods=["DELETE"]),
        ]

    async def _on_clock(self, _: Request) -> Response:
        return json_reply(self._clock.reading())

    async def _on_stats(self, _: Request) -> Response:
        return json_reply(self._stats.snapshot())

    async def _on_symbols(self, _: Request) -> Response:
        return json_reply({"symbols": self._symbols})

    async def _on_recording(self, request: Request) -> Response:
        symbol = request.query_params.get("symbol", "")
        bars = self._recording(symbol)
        if not bars:
            return error_reply(404, f"there is no recording of {symbol!r}")
        rows = [{"start_ns": bar.start_ns, **row_of(bar)} for bar in bars]
        return json_reply({"symbol": symbol, "bars": rows})

    async def _on_faults(self, _: Request) -> Response:
        return json_reply(asdict(self._faults.latest))

    async def _on_arm(self, request: Request) -> Response:
        try:
            changes = msgspec.json.decode(await request.body(), type=dict[str, object])
            return json_reply(asdict(self._arm(changes)))
        except ValueError as error:
            return error_reply(400, str(error))

    async def _on_clear(self, _: Request) -> Response:
        return json_reply(asdict(self._clear()))
