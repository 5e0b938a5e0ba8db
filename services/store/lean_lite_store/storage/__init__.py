"""What the store keeps on disk and in Valkey."""
