"""MarketRoutes: Alpaca's paths for market data."""

from collections.abc import Callable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.market.market import Kind
from lean_lite_sim.market.timestamps import MINUTE_NS
from lean_lite_sim.rest.auth import RequestGuard
from lean_lite_sim.rest.bar_query import check_common, parse_bar_query, parse_symbols
from lean_lite_sim.rest.pages import BarPages, Page
from lean_lite_sim.rest.replies import error_reply, json_reply, row_of
from lean_lite_sim.settings import SimulatorSettings
from lean_lite_sim.stats import Stats

RECENT_SIP_NS: Final = 15 * MINUTE_NS

_RECENT_SIP_CODE: Final = 42210000

Params = Mapping[str, str]
Handler = Callable[[Params], Response]


class MarketRoutes:
    """Paths of Alpaca's data API, with the bars of the simulated market."""

    def __init__(
        self,
        settings: SimulatorSettings,
        clock: FeedClock,
        pages: BarPages,
        guard: RequestGuard,
        stats: Stats,
    ) -> None:
        self._recent_sip = settings.recent_sip
        self._clock = clock
        self._pages = pages
        self._guard = guard
        self._stats = stats

    def routes(self) -> list[Route]:
        """Return the routes."""
        handlers: dict[str, Handler] = {
            "/v2/stocks/bars": lambda params: self._bars("stocks", params),
            "/v2/stocks/bars/latest": lambda params: self._latest("stocks", params),
            "/v2/stocks/{symbol}/bars": self._bars_of_one,
            "/v1beta3/crypto/us/bars": lambda params: self._bars("crypto", params),
            "/v1beta3/crypto/us/latest/bars": lambda params: self._latest("crypto", params),
        }
        return [self._route(path, handler) for path, handler in handlers.items()]

    def _route(self, path: str, handler: Handler) -> Route:
        # A synchronous endpoint would run in a thread, in parallel to the task that sends bars.
        async def endpoint(request: Request) -> Response:
            self._stats.rest_requests += 1
            refusal, headers = self._guard.check(request)
            try:
                reply = refusal or handler({**request.query_params, **request.path_params})
            except ValueError as error:
                reply = error_reply(400, str(error))
            reply.headers.update(headers)
            return reply

        return Route(path, endpoint, methods=["GET"])

    def _bars(self, kind: Kind, params: Params) -> Response:
        page = self._page(kind, params)
        if isinstance(page, Response):
            return page
        rows = {
            symbol: [row_of(bar) for bar in bars]
            for symbol, bars in groupby(page.bars, attrgetter("symbol"))
        }
        return json_reply(_with_currency({"bars": rows}, params, page))

    def _bars_of_one(self, params: Params) -> Response:
        page = self._page("stocks", {**params, "symbols": params["symbol"]})
        if isinstance(page, Response):
            return page
        rows = [row_of(bar) for bar in page.bars]
        body = {"symbol": params["symbol"], "bars": rows}
        return json_reply(_with_currency(body, params, page))

    def _page(self, kind: Kind, params: Params) -> Page | Response:
        now_ns = self._clock.now_ns()
        query = parse_bar_query(params, kind, now_ns)
        if kind == "stocks" and self._forbids(params, now_ns - query.end_ns):
            return _recent_sip_reply()
        return self._pages.page(query, now_ns)

    def _latest(self, kind: Kind, params: Params) -> Response:
        check_common(params)
        if kind == "stocks" and self._forbids(params, 0):
            return _recent_sip_reply()
        now_ns = self._clock.now_ns()
        found = [self._pages.latest(symbol, now_ns) for symbol in parse_symbols(params, kind)]
        return json_reply({"bars": {bar.symbol: row_of(bar) for bar in found if bar is not None}})

    def _forbids(self, params: Params, age_ns: int) -> bool:
        # Without a feed Alpaca uses the best that the plan allows, so only an explicit sip fails.
        return not self._recent_sip and params.get("feed") == "sip" and age_ns < RECENT_SIP_NS


def _with_currency(body: Mapping[str, object], params: Params, page: Page) -> dict[str, object]:
    currency = {"currency": params["currency"]} if "currency" in params else {}
    return {**body, "next_page_token": page.next_token, **currency}


def _recent_sip_reply() -> Response:
    message = "subscription does not permit querying recent SIP data"
    return error_reply(403, message, _RECENT_SIP_CODE)
