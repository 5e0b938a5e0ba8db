"""REST and control paths of the simulator."""
