"""Messages, subjects and permissions of the bus."""
