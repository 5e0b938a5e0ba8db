"""An Alpaca-compatible market data server that replays recorded days and injects faults."""

from lean_lite_sim.faults import Faults
from lean_lite_sim.market.bar import Bar
from lean_lite_sim.market.clock import FeedClock
from lean_lite_sim.settings import SimulatorSettings
from lean_lite_sim.simulator import Simulator

__all__ = ["Bar", "Faults", "FeedClock", "Simulator", "SimulatorSettings"]
