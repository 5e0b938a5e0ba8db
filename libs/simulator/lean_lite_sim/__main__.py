"""Run the simulator."""

import sys

from lean_lite_sim.cli import main

sys.exit(main())
