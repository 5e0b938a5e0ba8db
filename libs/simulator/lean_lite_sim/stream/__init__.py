"""Websocket half of the simulator."""
