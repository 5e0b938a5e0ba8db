"""Run a supervisor: `python -m lean_lite.stack FOLDER LOCK`, as `join_stack` starts it."""

import asyncio
import logging
import sys
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import LeanLiteError
from lean_lite.stack.log import LineFormatter
from lean_lite.stack.supervisor import Supervisor

COULD_NOT_START = 3

handler = logging.StreamHandler()
handler.setFormatter(LineFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])
folder, lock = sys.argv[1:]
try:
    asyncio.run(Supervisor(Config(), Path(folder), int(lock)).run())
except LeanLiteError as error:
    logging.getLogger("lean_lite.stack").error(  # noqa: TRY400 - one line
        "supervisor.failed", extra={"error": str(error)}
    )
    sys.exit(COULD_NOT_START)
