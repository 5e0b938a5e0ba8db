"""
Run one service in this process: settings, logs, bus, health and beats around it, then a clean stop.

Exit codes: 0 stopped as asked, 1 failed (start it again), 3 could not start (mend it first).
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
from lean_lite.service.health import Health
from lean_lite.service.heartbeat import HeartbeatPublisher
from lean_lite.service.logs import configure_logs

log = logging.getLogger(__name__)


class Context(NamedTuple):
    """Hold what every service is given: the bus, the settings, and its own name on the bus."""

    bus: Bus
    config: Config
    instance: str


class Service(Protocol):
    """Be what `run` keeps alive."""

    async def run(self) -> None:
        """Work until cancelled, then leave everything in order."""

    def failing(self) -> Iterable[str]:
        """Name what keeps the service from working now, `Outside` or not; nothing when ready."""


def run(name: str, build: Callable[[Context], Service]) -> NoReturn:
    """Run a service until a signal or its failure, and end the process."""
    try:
        config = Config()
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(COULD_NOT_START)
    instance = f"{name}-{secrets.token_hex(4)}"
    configure_logs(config.service, service=name, instance=instance)
    sys.exit(_runner(config)(_live(name, instance, config, build)))


def _runner(config: Config) -> Callable[..., int]:
    if config.service.uvloop and sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - not there on every platform

        return uvloop.run
    return asyncio.run


async def _live(
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
        log.error("service.could_not_start", extra={"error": str(error)})  # noqa: TRY400 - one line
        return COULD_NOT_START
    health.start()
    beats = HeartbeatPublisher(bus, name, instance, health.url, failing)
    beating = asyncio.create_task(beats.run(config.service.beat_s, health.loop_alive))
    try:
        return await _work(service, config.service.drain_s)
    finally:
        beating.cancel()
        await beats.publish()
        health.stop()
        await bus.close()


async def _work(service: Service, drain_s: float) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.create_task(service.run())
    waiting = asyncio.create_task(stopped.wait())
    log.info("service.started")
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        return _failure(work)
    work.cancel()
    done, _ = await asyncio.wait([work], timeout=drain_s)
    if not done:
        log.warning("service.drain_timed_out", extra={"drain_s": drain_s})
    log.info("service.stopped")
    return 0


def _failure(work: asyncio.Task[None]) -> int:
    error = None if work.cancelled() else work.exception()
    if error is None:
        log.error("service.ended_by_itself")
        return FAILED
    refused = isinstance(error, LeanLiteError)
    log.error("service.failed", exc_info=None if refused else error, extra={"error": repr(error)})
    return FAILED
