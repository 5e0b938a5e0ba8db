"""RequestGuard: keys and request rate of the data API; keys in HTTP headers."""

import base64
import binascii
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from lean_lite_sim.faults import FaultHistory
from lean_lite_sim.rest.replies import error_reply
from lean_lite_sim.settings import SimulatorSettings

_KEYLESS_PATHS: Final = "/v1beta3/crypto/"
_WINDOW_S: Final = 60


class RequestGuard:
    """Check of keys and rate before a request for market data; crypto needs no keys."""

    def __init__(self, settings: SimulatorSettings, faults: FaultHistory) -> None:
        self._settings = settings
        self._faults = faults
        self._quota = RequestQuota(settings.rate_limit_per_minute)

    def check(self, request: Request) -> tuple[Response | None, dict[str, str]]:
        """Return the refusal of a request, if any, and the rate-limit headers of its reply."""
        keys = keys_in_headers(request.headers)
        if status := self._faults.latest.rest_status:
            return error_reply(status, "a simulated fault"), {}
        if keys is None and not request.url.path.startswith(_KEYLESS_PATHS):
            return error_reply(401, "unauthorized."), {}
        if keys is not None and self._settings.keys.get(keys[0]) != keys[1]:
            return error_reply(403, "forbidden."), {}
        allowed, headers = self._quota.count("" if keys is None else keys[0])
        return None if allowed else error_reply(429, "too many requests."), headers


class Allowance(NamedTuple):
    """Whether a request is within the quota, and Alpaca's headers about it."""

    allowed: bool
    headers: dict[str, str]


class RequestQuota:
    """Number of requests by key, in windows of one minute of the wall clock."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._window = 0
        self._used: Counter[str] = Counter()

    def count(self, key: str) -> Allowance:
        """Count one request."""
        window = int(time.time()) // _WINDOW_S
        if window != self._window:
            self._window = window
            self._used.clear()
        self._used[key] += 1
        left = self._per_minute - self._used[key]
        headers = {
            "X-RateLimit-Limit": str(self._per_minute),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str((window + 1) * _WINDOW_S),
        }
        return Allowance(left >= 0, headers)


def keys_in_headers(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return key id and secret from Alpaca's own headers or Basic authorization, or None."""
    if "APCA-API-KEY-ID" in headers:
        return headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", "")
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret
