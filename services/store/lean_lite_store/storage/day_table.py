"""
The bars of one source and UTC day in memory: the winning version of each.

Versions commute: in whatever order they are applied, history shows the highest by (precedence of
the origin, server time of the GRADED frame, its sequence). Only rows of one frame can be equal in
that; of these the later row wins.
"""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lean_lite.blocks import BAR, Block
from lean_lite.blocks.schema import PRECEDENCE
from lean_lite.model import Resolution
from lean_lite_store.storage.series import Source

# The fields that make two versions identical come first: a prefix of the bytes compares them.
_IDENTITY = (*BAR.values, "reasons", "level")
_FIELDS = (*_IDENTITY, "origin", "start_ns", "received_ns", "seq", "stored_ns")
RECORD = np.dtype([(name, BAR.columns[name]) for name in _FIELDS])
SLAB = 131_072  # records in one array; pages that are not written yet cost no memory
IDENTITY_BYTES = sum(RECORD[name].itemsize for name in _IDENTITY)
_RANK = np.zeros(256, np.int64)
for _origin, _precedence in PRECEDENCE.items():
    _RANK[_origin] = _precedence

Records = npt.NDArray[np.void]
BarKey = tuple[str, int]


class Version(NamedTuple):
    """Content of one version of a bar, as bytes, and its rank among versions."""

    content: bytes
    rank: tuple[int, int, int]


class Change(NamedTuple):
    """
    What rows would change in a table.

    `kept` marks the rows to journal, of which `bars` are new bars or revisions and `invalid` are
    INVALID; `repeated` rows equal a stored version. `winners` maps a symbol and start to a
    record; `older` has the versions that lost.
    """

    kept: npt.NDArray[np.bool_]
    bars: int
    invalid: int
    repeated: int
    winners: dict[str, dict[int, int]]
    records: Records
    older: dict[BarKey, list[Version]]


class DayTable:
    """
    Bars of one source and UTC day.

    `plan` only reads: it may run in a thread in parallel to `read`; `apply` may not.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._resolution = Resolution.from_seconds(source.resolution_s)
        self._slabs: list[Records] = []
        self._count = 0
        self._series: dict[str, dict[int, int]] = {}
        self._older: dict[BarKey, list[Version]] = {}

    def __len__(self) -> int:
        """Return the number of bars."""
        return self._count

    def __contains__(self, symbol: str) -> bool:
        """Whether the symbol has bars here."""
        return symbol in self._series

    def plan(self, block: Block) -> Change:
        """Return what a block of this source and day would change."""
        good = block.is_valid
        kept = np.ones(len(block), bool)
        change = Change(kept, 0, int((~good).sum()), 0, {}, _records_of(block), {})
        incoming = [change.winners.setdefault(symbol, {}) for symbol in block.symbols]
        known = [self._series.get(symbol, {}) for symbol in block.symbols]
        symbols, starts = block["symbol"].tolist(), block["start_ns"].tolist()
        contested: list[int] = []
        rows = range(len(block)) if good.all() else np.flatnonzero(good).tolist()
        for row in rows:
            start, index = starts[row], symbols[row]
            if start in incoming[index] or start in known[index]:
                contested.append(row)
            else:
                incoming[index][start] = row
        repeated = 0
        for row in contested:
            kept[row], repeats = self._resolve(change, row, block.symbols[symbols[row]])
            repeated += repeats
        return change._replace(bars=len(block) - change.invalid - repeated, repeated=repeated)

    def apply(self, change: Change) -> None:
        """Apply a planned change."""
        added: list[int] = []
        for symbol, incoming in change.winners.items():
            if not incoming:
                continue
            series = self._series.setdefault(symbol, {})
            for start, row in incoming.items():
                place = series.get(start)
                if place is None:
                    series[start] = self._count + len(added)
                    added.append(row)
                else:
                    self._slabs[place // SLAB][place % SLAB] = change.records[row]
        self._append(change.records[added])
        for key, lost in change.older.items():
            self._older.setdefault(key, []).extend(lost)

    def read(self, symbol: str, start_ns: int, end_ns: int) -> Block:
        """Return the symbol's bars with `start_ns <= start < end_ns`, in order of start."""
        series = self._series.get(symbol, {})
        found = self._read_records(np.fromiter(series.values(), np.intp, len(series)))
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
        """Compare a row with the winner; return whether it is kept and whether it repeats."""
        record = change.records[row]
        start = int(record["start_ns"])
        incoming = change.winners[symbol]
        if start in incoming:
            winner = change.records[incoming[start]]
        else:
            place = self._series[symbol][start]
            winner = self._slabs[place // SLAB][place % SLAB]
        version, current = _version_of(record), _version_of(winner)
        key = (symbol, start)
        known = [current, *self._older.get(key, ()), *change.older.get(key, ())]
        if any(one.content == version.content and one.rank >= version.rank for one in known):
            return False, True
        wins = version.rank >= current.rank
        change.older.setdefault(key, []).append(current if wins else version)
        if wins:
            incoming[start] = row
        # A repeat with a higher rank is kept: another version may rank between the two.
        return True, version.content == current.content

    def _read_records(self, places: npt.NDArray[np.intp]) -> Records:
        slabs = places // SLAB
        found = np.empty(len(places), RECORD)
        ends = [*(np.flatnonzero(np.diff(slabs)) + 1).tolist(), len(places)]
        begin = 0
        for end in ends if len(places) else ():
            found[begin:end] = self._slabs[slabs[begin]][places[begin:end] % SLAB]
            begin = end
        return found

    def _append(self, records: Records) -> None:
        # Slabs instead of one growing array: copying a whole day would block the loop.
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


def _version_of(record: np.void) -> Version:
    version = int(_RANK[record["origin"]]), int(record["stored_ns"]), int(record["seq"])
    return Version(record.tobytes()[:IDENTITY_BYTES], version)
