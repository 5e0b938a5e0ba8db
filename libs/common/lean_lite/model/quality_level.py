"""Quality levels and their codes."""

from enum import Enum
from functools import total_ordering


@total_ordering
class DataQualityLevel(Enum):
    """Grade a record; the value is its score, and grades are ordered by it."""

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
        """Return the grade as it stands in a block: 0 for INVALID to 4 for EXCELLENT."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: int) -> "DataQualityLevel":
        """Return the grade of a code from 0 to 4; IndexError for others."""
        if code < 0:
            message = f"no grade has the code {code}"
            raise IndexError(message)
        return _LEVELS[code]


_LEVELS = sorted(DataQualityLevel)
_CODES = {level: code for code, level in enumerate(_LEVELS)}
