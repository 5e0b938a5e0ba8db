"""What every section of the configuration is made of."""

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Secret(str):
    """Be text that must not be shown: keys, passwords."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return stars instead of the text."""
        return "'***'" if self else "''"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Be one section of the configuration; every field has a default."""
