"""What keeps a service from working and lies outside of the stack."""


class Outside(str):
    """Be a reason that only the world outside can mend: a stack starts although it is there."""

    __slots__ = ()
