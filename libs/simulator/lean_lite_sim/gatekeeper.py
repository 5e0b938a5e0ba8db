"""Who may ask REST, and how often."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lean_lite_sim.faults import FaultHistory
from lean_lite_sim.keys import keys_in_headers
from lean_lite_sim.rate_limit import RateLimit
from lean_lite_sim.replies import error_reply
from lean_lite_sim.settings import SimulatorSettings

_OPEN_PATHS: Final = "/v1beta3/crypto/"


class Gatekeeper:
    """Check keys and rates of requests for market data; crypto needs no keys."""

    def __init__(self, settings: SimulatorSettings, faults: FaultHistory) -> None:
        self._settings = settings
        self._faults = faults
        self._rate_limit = RateLimit(settings.rate_limit_per_minute)

    def check(self, request: Request) -> tuple[Response | None, dict[str, str]]:
        """Give the refusal of a request, if any, and the rate-limit headers of its answer."""
        keys = keys_in_headers(request.headers)
        if status := self._faults.latest.rest_status:
            return error_reply(status, "a simulated fault"), {}
        if keys is None and not request.url.path.startswith(_OPEN_PATHS):
            return error_reply(401, "unauthorized."), {}
        if keys is not None and self._settings.keys.get(keys[0]) != keys[1]:
            return error_reply(403, "forbidden."), {}
        allowed, headers = self._rate_limit.count("" if keys is None else keys[0])
        return None if allowed else error_reply(429, "too many requests."), headers
