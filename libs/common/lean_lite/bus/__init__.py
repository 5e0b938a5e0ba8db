"""How this project speaks to NATS."""

from lean_lite.bus.balancer import Shares
from lean_lite.bus.connection import Bus, connect
from lean_lite.bus.consumer import Consumer, Frame
from lean_lite.bus.leases import Lease, Leases
from lean_lite.bus.positions import Position, Slowest
from lean_lite.bus.provisioning import create_streams, server_config
from lean_lite.bus.publisher import FencedSubject
from lean_lite.bus.requests import ask, ask_many
from lean_lite.bus.responder import Answer, Responder

__all__ = [
    "Answer",
    "Bus",
    "Consumer",
    "FencedSubject",
    "Frame",
    "Lease",
    "Leases",
    "Position",
    "Responder",
    "Shares",
    "Slowest",
    "ask",
    "ask_many",
    "connect",
    "create_streams",
    "server_config",
]
