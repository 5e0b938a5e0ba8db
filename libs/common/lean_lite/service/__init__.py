"""How a service lives: start, health, beats, logs, stop."""

from lean_lite.service.health import ExternalReason
from lean_lite.service.runner import Context, Service, run

__all__ = ["Context", "ExternalReason", "Service", "run"]
