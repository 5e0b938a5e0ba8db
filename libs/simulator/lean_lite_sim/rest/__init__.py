"""REST half of the simulator."""
