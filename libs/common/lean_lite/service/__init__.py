"""Lifecycle of a service process: start, health, heartbeats, logs, stop."""

from lean_lite.service.health import ExternalReason
from lean_lite.service.runner import Context, Service, run

__all__ = ["Context", "ExternalReason", "Service", "run"]
