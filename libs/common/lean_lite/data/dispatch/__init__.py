"""From live records to the callbacks of an engine."""
