"""What the store has on disk, in memory and in Valkey."""
