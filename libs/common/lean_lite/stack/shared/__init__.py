"""The stack that all programs of this user share."""
