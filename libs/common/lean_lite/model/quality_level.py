"""Quality levels and their codes in a block."""

from enum import Enum
from functools import total_ordering


@total_ordering
class DataQualityLevel(Enum):
    """
    Grade of a bar or quote; the value is its score, which orders the levels.

    EXCELLENT passes every check; INVALID is in no history, iterator or indicator.
    """

    EXCELLENT = 1.0
    GOOD = 0.9
    FAIR = 0.75
    POOR = 0.5
    INVALID = 0.0

    def __lt__(self, other: object) -> bool:
        """Compare by score."""
        if not isinstance(other, DataQualityLevel):
            return NotImplemented
        return self.value < other.value

    @property
    def code(self) -> int:
        """Code of the level in a block: 0 for INVALID to 4 for EXCELLENT."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: int) -> "DataQualityLevel":
        """
        Return the level of a code.

        Args:
            code: 0 for INVALID to 4 for EXCELLENT.

        Raises:
            IndexError: no level has the code.
        """
        if code < 0:
            message = f"invalid quality code {code}: expected 0 to {len(_LEVELS) - 1}"
            raise IndexError(message)
        return _LEVELS[code]


_LEVELS = sorted(DataQualityLevel)
_CODES = {level: code for code, level in enumerate(_LEVELS)}
