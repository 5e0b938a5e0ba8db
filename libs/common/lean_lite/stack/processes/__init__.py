"""Child processes of a stack."""
