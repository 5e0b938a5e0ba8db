"""Import path of the data model types that strategies use."""
