"""The embedded stack: brokers, services and, for a demo, the simulator on this machine."""

from lean_lite.stack.folder import Mode, default_folder, find_stack
from lean_lite.stack.simulator import SimulatorOptions
from lean_lite.stack.stack import SERVICES, Stack

__all__ = ["SERVICES", "Mode", "SimulatorOptions", "Stack", "default_folder", "find_stack"]
