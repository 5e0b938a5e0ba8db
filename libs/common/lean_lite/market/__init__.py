"""Asset classes, trading sessions and the calendar."""
