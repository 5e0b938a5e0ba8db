"""
Run one service in this process: settings, logs, bus, health, heartbeats, signals.

Exit codes: 0 stopped by a signal, 1 failed (a restart may help), 3 could not start (a restart does
not help: settings, rights or another program are at fault).
"""

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple, NoReturn, Protocol

from lean_lite.bus import Bus, connect
from lean_lite.config import Config
from lean_lite.errors import COULD_NOT_START, FAILED, ConfigError, LeanLiteError
from lean_lite.logs import configure_logs
from lean_lite.service.health import Health
from lean_lite.service.heartbeat import HeartbeatPublisher

log = logging.getLogger(__name__)


class Context(NamedTuple):
    """What every service is built from: the bus, the settings and its own name on the bus."""

    bus: Bus
    config: Config
    instance: str


class Service(Protocol):
    """Interface of what `run` runs."""

    async def run(self) -> None:
        """Work until cancelled, then clean up within `service.drain_s`."""

    def failing(self) -> Iterable[str]:
        """Yield why the service is not ready, an ExternalReason or not; nothing when ready."""


def run(name: str, build: Callable[[Context], Service]) -> NoReturn:
    """Run a service until a signal or its failure, then exit the process."""
    try:
        config = Config()
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(COULD_NOT_START)
    instance = f"{name}-{secrets.token_hex(4)}"
    settings = config.service
    configure_logs(settings.log_level, settings.log_format, service=name, instance=instance)
    sys.exit(_event_loop(config)(_run_service(name, instance, config, build)))


def _event_loop(config: Config) -> Callable[..., int]:
    if config.service.uvloop and sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - not there on every platform

        return uvloop.run
    return asyncio.run


async def _run_service(
    name: str, instance: str, config: Config, build: Callable[[Context], Service]
) -> int:
    try:
        bus = await connect(config.bus, name, name=instance)
        service = build(Context(bus, config, instance))
        host, port = config.service.health_host, config.service.health_port

        def failing() -> Iterable[str]:
            yield from bus.failing()
            yield from service.failing()

        health = Health(host, port, failing)
    except (LeanLiteError, OSError) as error:
        log.error("service.start_failed", extra={"error": str(error)})  # noqa: TRY400 - one line
        return COULD_NOT_START
    health.start()
    heartbeats = HeartbeatPublisher(bus, name, instance, health.url, failing)
    publishing = asyncio.create_task(
        heartbeats.run(config.service.heartbeat_s, health.record_loop_run),
        name="publish heartbeats",
    )
    try:
        return await _run_until_stopped(service, config.service.drain_s)
    finally:
        publishing.cancel()
        # The last heartbeat has the final counts; `lean-lite demo` waits for it.
        await heartbeats.publish()
        health.stop()
        await bus.close()


async def _run_until_stopped(service: Service, drain_s: float) -> int:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    running = asyncio.create_task(service.run(), name="run the service")
    waiting = asyncio.create_task(stop_requested.wait(), name="wait for a signal")
    log.info("service.started")
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        _log_failure(running)
        return FAILED
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=drain_s)
    if not done:
        log.warning("service.drain_timed_out", extra={"drain_s": drain_s})
    log.info("service.stopped")
    return 0


def _log_failure(running: asyncio.Task[None]) -> None:
    error = None if running.cancelled() else running.exception()
    if error is None:
        log.error("service.returned")
        return
    # Errors of the library say what to do; the traceback of anything else shows where to look.
    trace = None if isinstance(error, LeanLiteError) else error
    log.error("service.failed", exc_info=trace, extra={"error": repr(error)})
