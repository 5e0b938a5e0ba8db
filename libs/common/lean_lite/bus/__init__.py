"""Connection, streams, leases and requests on NATS."""

from lean_lite.bus.balancer import LeaseBalancer
from lean_lite.bus.connection import Bus, connect
from lean_lite.bus.consumer import Consumer, Frame
from lean_lite.bus.leases import Lease, Leases
from lean_lite.bus.positions import PositionReporter, SlowestConsumer
from lean_lite.bus.provisioning import create_streams, server_config
from lean_lite.bus.publisher import FencedPublisher
from lean_lite.bus.requests import request_chunks, request_reply
from lean_lite.bus.responder import ChunkedReply, Responder

__all__ = [
    "Bus",
    "ChunkedReply",
    "Consumer",
    "FencedPublisher",
    "Frame",
    "Lease",
    "LeaseBalancer",
    "Leases",
    "PositionReporter",
    "Responder",
    "SlowestConsumer",
    "connect",
    "create_streams",
    "request_chunks",
    "request_reply",
    "server_config",
]
