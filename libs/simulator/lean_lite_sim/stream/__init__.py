"""Websocket server of the simulator."""
