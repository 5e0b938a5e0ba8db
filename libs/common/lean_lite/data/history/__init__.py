"""History as the engine reads it."""
