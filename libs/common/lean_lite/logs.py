"""
Log lines of services and of the supervisor: JSON for machines, text for people.

Only text uses structlog. With the extra `cli` installed, importing structlog also imports rich and
pygments: about as much CPU time as everything else that a supervisor imports. Each of the four
services and each supervisor would pay for that at every start, to write one JSON object per line.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

# The attributes of every record; all others were given as `extra`.
STANDARD = logging.makeLogRecord({}).__dict__.keys() | {"message", "taskName"}


def configure_logs(
    level: str = "info", log_format: Literal["json", "text"] = "json", **bound: str
) -> None:
    """Send all log records to standard error; every line carries the fields in `bound`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(bound) if log_format == "json" else _text_formatter(bound))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object per record: bound fields, event, `extra` fields, level, logger, timestamp."""

    def __init__(self, bound: dict[str, str]) -> None:
        super().__init__()
        self._bound = bound

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception's traceback is the field `exception`."""
        line: dict[str, object] = {
            **self._bound,
            "event": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in STANDARD},
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


def _text_formatter(bound: dict[str, str]) -> logging.Formatter:
    import structlog  # noqa: PLC0415 - see above

    def bind(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {**bound, **event}

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        bind,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )
