"""The embedded stack: brokers, services and, for a demo, the simulator on this machine."""

from lean_lite.stack.folder import MODES, Mode, default_folder, find_stack
from lean_lite.stack.identity import account_of, mode_of
from lean_lite.stack.processes.simulator import SimulatorOptions
from lean_lite.stack.shared.membership import Membership, join_stack
from lean_lite.stack.shared.shutdown import end_stack
from lean_lite.stack.stack import SERVICES, Stack

__all__ = [
    "MODES",
    "SERVICES",
    "Membership",
    "Mode",
    "SimulatorOptions",
    "Stack",
    "account_of",
    "default_folder",
    "end_stack",
    "find_stack",
    "join_stack",
    "mode_of",
]
