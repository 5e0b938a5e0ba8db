"""Run a supervisor: `python -m lean_lite.stack FOLDER LOCK`, as `join_stack` starts it."""

import asyncio
import logging
import sys
from pathlib import Path

from lean_lite.config import Config
from lean_lite.errors import COULD_NOT_START, FAILED, LeanLiteError
from lean_lite.logs import configure_logs
from lean_lite.stack.shared.supervisor import Supervisor

configure_logs()
log = logging.getLogger("lean_lite.stack")
folder, lock_descriptor = sys.argv[1:]
try:
    asyncio.run(Supervisor(Config(), Path(folder), int(lock_descriptor)).run())
except LeanLiteError as error:
    log.error("supervisor.failed", extra={"error": str(error)})  # noqa: TRY400 - one line
    sys.exit(COULD_NOT_START)
except Exception as error:
    log.exception("supervisor.crashed", extra={"error": repr(error)})
    sys.exit(FAILED)
