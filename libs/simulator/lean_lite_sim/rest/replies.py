"""JSON answers over HTTP."""

import msgspec
from starlette.responses import Response

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.timestamps import format_instant


def json_reply(body: object, status: int = 200) -> Response:
    """Answer with JSON; floats are written so that they read back the same."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def error_reply(status: int, message: str, code: int | None = None) -> Response:
    """Answer with an error as Alpaca words it, most often without a code."""
    body: dict[str, int | str] = {} if code is None else {"code": code}
    return json_reply(body | {"message": message}, status)


def row_of(bar: Bar) -> dict[str, str | float | None]:
    """Give a bar as a row of an answer."""
    return {"t": format_instant(bar.start_ns), **bar.fields()}
