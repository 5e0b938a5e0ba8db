"""JSON replies over HTTP."""

import msgspec
from starlette.responses import Response

from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.timestamps import format_instant


def json_reply(body: object, status: int = 200) -> Response:
    """Build a JSON reply; floats keep all their bits."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def error_reply(status: int, message: str, code: int | None = None) -> Response:
    """Build an error in Alpaca's form, mostly without a code."""
    body: dict[str, int | str] = {} if code is None else {"code": code}
    return json_reply(body | {"message": message}, status)


def row_of(bar: Bar) -> dict[str, str | float | None]:
    """Convert a bar to a row of a reply."""
    return {"t": format_instant(bar.start_ns), **bar.fields()}
