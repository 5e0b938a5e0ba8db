"""
The bars of one source and UTC day in memory: the winning version of each.

Versions commute: whichever order they come in, the highest of (precedence of the origin, server
time of the GRADED frame, its sequence) is what history shows. Only rows of one frame can be equal
there; of these the later one wins.
"""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import BAR, Block
from lean_lite.blocks.schema import PRECEDENCE
from lean_lite.model import Resolution
from lean_lite_store.storage.series import Source

# What makes two versions identical stands first, so that a prefix of the bytes compares it.
_IDENTITY = (*BAR.values, "reasons", "level")
_FIELDS = (*_IDENTITY, "origin", "start_ns", "received_ns", "seq", "stored_ns")
RECORD = np.dtype([(name, BAR.columns[name]) for name in _FIELDS])
SLAB = 131_072  # records in one array; memory that is not written yet costs nothing
IDENTITY_BYTES = sum(RECORD[name].itemsize for name in _IDENTITY)
_RANK = np.zeros(256, np.int64)
for _origin, _precedence in PRECEDENCE.items():
    _RANK[_origin] = _precedence

Records = npt.NDArray[np.void]
Place = tuple[str, int]


class Version(NamedTuple):
    """Hold what a version says of a bar, as bytes, and its rank among versions."""

    says: bytes
    version: tuple[int, int, int]


class Change(NamedTuple):
    """
    Hold what rows do to a table, before it is done.

    `kept` marks the rows to journal, `bars` of which are new bars or revisions and `invalid` of
    which are INVALID; `repeated` rows say nothing new. `winners` maps a symbol and start to a
    record; `older` holds the versions that lost.
    """

    kept: npt.NDArray[np.bool_]
    bars: int
    invalid: int
    repeated: int
    winners: dict[str, dict[int, int]]
    records: Records
    older: dict[Place, list[Version]]


class DayTable:
    """
    Hold the bars of one source and UTC day.

    `plan` only reads, so it may run in a thread while `read` does; `apply` may not.
    """

    def __init__(self, source: Source) -> None:
        """Start with no bars."""
        self._source = source
        self._resolution = Resolution.from_seconds(source.resolution_s)
        self._slabs: list[Records] = []
        self._count = 0
        self._series: dict[str, dict[int, int]] = {}
        self._older: dict[Place, list[Version]] = {}

    def __len__(self) -> int:
        """Return the number of bars."""
        return self._count

    def __contains__(self, symbol: str) -> bool:
        """Say whether the symbol has bars here."""
        return symbol in self._series

    def plan(self, block: Block) -> Change:
        """Return what a block of this source and day would change."""
        good = block.is_valid
        kept = np.ones(len(block), bool)
        change = Change(kept, 0, int((~good).sum()), 0, {}, _records_of(block), {})
        coming = [change.winners.setdefault(symbol, {}) for symbol in block.symbols]
        known = [self._series.get(symbol, {}) for symbol in block.symbols]
        symbols, starts = block["symbol"].tolist(), block["start_ns"].tolist()
        contested: list[int] = []
        rows = range(len(block)) if good.all() else np.flatnonzero(good).tolist()
        for row in rows:
            start, index = starts[row], symbols[row]
            if start in coming[index] or start in known[index]:
                contested.append(row)
            else:
                coming[index][start] = row
        repeated = 0
        for row in contested:
            kept[row], repeats = self._resolve(change, row, block.symbols[symbols[row]])
            repeated += repeats
        return change._replace(bars=len(block) - change.invalid - repeated, repeated=repeated)

    def apply(self, change: Change) -> None:
        """Do what was planned."""
        added: list[int] = []
        for symbol, coming in change.winners.items():
            if not coming:
                continue
            series = self._series.setdefault(symbol, {})
            for start, row in coming.items():
                place = series.get(start)
                if place is None:
                    series[start] = self._count + len(added)
                    added.append(row)
                else:
                    self._slabs[place // SLAB][place % SLAB] = change.records[row]
        self._append(change.records[added])
        for at, lost in change.older.items():
            self._older.setdefault(at, []).extend(lost)

    def read(self, symbol: str, start_ns: int, end_ns: int) -> Block:
        """Return the symbol's bars with `start_ns <= start < end_ns`, in order of start."""
        series = self._series.get(symbol, {})
        found = self._take(np.fromiter(series.values(), np.intp, len(series)))
        starts = found["start_ns"]
        found = found[(starts >= start_ns) & (starts < end_ns)]
        found = found[np.argsort(found["start_ns"], kind="stable")]
        columns = {name: np.ascontiguousarray(found[name]) for name in _FIELDS}
        columns["symbol"] = np.zeros(len(found), BAR.columns["symbol"])
        return Block(
            BAR,
            self._resolution,
            self._source.feed,
            (symbol,),
            MappingProxyType(columns),
            self._source.simulated,
        )

    def _resolve(self, change: Change, row: int, symbol: str) -> tuple[bool, bool]:
        """Decide between a row and the version that stands; say if it is kept, if it repeats."""
        record = change.records[row]
        start = int(record["start_ns"])
        coming = change.winners[symbol]
        if start in coming:
            standing = change.records[coming[start]]
        else:
            place = self._series[symbol][start]
            standing = self._slabs[place // SLAB][place % SLAB]
        claim, rival = _claim(record), _claim(standing)
        at = (symbol, start)
        known = [rival, *self._older.get(at, ()), *change.older.get(at, ())]
        if any(one.says == claim.says and one.version >= claim.version for one in known):
            return False, True
        wins = claim.version >= rival.version
        change.older.setdefault(at, []).append(rival if wins else claim)
        if wins:
            coming[start] = row
        # A repeat with a higher version is kept: a later version may lie between the two.
        return True, claim.says == rival.says

    def _take(self, places: npt.NDArray[np.intp]) -> Records:
        slabs = places // SLAB
        found = np.empty(len(places), RECORD)
        ends = [*(np.flatnonzero(np.diff(slabs)) + 1).tolist(), len(places)]
        begin = 0
        for end in ends if len(places) else ():
            found[begin:end] = self._slabs[slabs[begin]][places[begin:end] % SLAB]
            begin = end
        return found

    def _append(self, records: Records) -> None:
        # Slabs instead of one array that grows: copying a whole day would hold the loop up.
        while len(records):
            used = self._count % SLAB
            if used == 0:
                self._slabs.append(np.empty(SLAB, RECORD))
            taken = records[: SLAB - used]
            self._slabs[-1][used : used + len(taken)] = taken
            self._count += len(taken)
            records = records[len(taken) :]


def _records_of(block: Block) -> Records:
    records = np.empty(len(block), RECORD)
    for name in _FIELDS:
        records[name] = block[name]
    return records


def _claim(record: np.void) -> Version:
    version = int(_RANK[record["origin"]]), int(record["stored_ns"]), int(record["seq"])
    return Version(record.tobytes()[:IDENTITY_BYTES], version)
