"""Block: bars or quotes as numpy columns; building, slicing, joining."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from lean_lite.blocks.schema import BAR, QUOTE, REPEAT_BIT, Kind, Origin
from lean_lite.model import DataQualityLevel, QuoteBar, Resolution, TradeBar
from lean_lite.model.timestamps import SECOND_NS, from_ns, to_ns

Column = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Rows = Mask | npt.NDArray[np.intp] | slice

SYMBOLS_SHOWN = 5
_INVALID = DataQualityLevel.INVALID.code
_REPEAT_MASK = np.uint64(1 << REPEAT_BIT)
_SCORES = np.array([level.value for level in sorted(DataQualityLevel)])  # by code


class Block(msgspec.Struct, frozen=True, eq=False):
    """
    Records of one kind, resolution and feed as numpy columns.

    Times are nanoseconds since 1970 UTC. Arrays decoded from bytes are read-only.

    Attributes:
        kind: kind of record, which names the columns.
        resolution: length of every bar.
        feed: name of the feed that the records come from.
        symbols: symbol table; the column `symbol` holds indices into it.
        columns: maps names of `kind.columns` to arrays of equal length.
        simulated: whether the records come from the simulator.
    """

    kind: Kind
    resolution: Resolution
    feed: str
    symbols: tuple[str, ...]
    columns: Mapping[str, Column]
    simulated: bool = False

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the columns as a dict, since a mapping proxy can't be pickled."""
        header = self.kind, self.resolution, self.feed, self.symbols
        return _restore, (header, dict(self.columns), self.simulated)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["start_ns"])

    def __getitem__(self, name: str) -> Column:
        """Return a column; KeyError if the block does not have it."""
        return self.columns[name]

    @property
    def end_ns(self) -> Column:
        """End of each bar."""
        return self["start_ns"] + np.int64(self.resolution.seconds * SECOND_NS)

    @property
    def is_valid(self) -> Mask:
        """Whether each row is graded better than INVALID; True where there are no grades."""
        levels = self.columns.get("level")
        return np.ones(len(self), np.bool_) if levels is None else levels != _INVALID

    @property
    def is_repeat(self) -> Mask:
        """Whether grading marked each row as a repeat; False where there are no grades."""
        reasons = self.columns.get("reasons")
        if reasons is None:
            return np.zeros(len(self), np.bool_)
        mask: Mask = (reasons & _REPEAT_MASK) != 0
        return mask

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Quality score of each row, 0 to 1; NaN where there are no grades."""
        levels = self.columns.get("level")
        return np.full(len(self), np.nan) if levels is None else _SCORES[levels]

    @property
    def symbols_with_rows(self) -> tuple[str, ...]:
        """Symbols that have rows, in the order of the symbol table."""
        return tuple(self.symbols[code] for code in np.unique(self["symbol"]).tolist())

    @property
    def symbol_names(self) -> list[str]:
        """Symbol of each row."""
        return [self.symbols[index] for index in self["symbol"].tolist()]

    def require_one_symbol(self) -> None:
        """Raise ValueError if the block has rows of several symbols."""
        if len(names := self.symbols_with_rows) > 1:
            message = (
                f"expected bars of one symbol, found {format_symbols(names)}: "
                "split them by symbol first"
            )
            raise ValueError(message)

    def take(self, rows: Rows) -> "Block":
        """Select rows, in the order given; a slice copies nothing."""
        return self.replace({name: column[rows] for name, column in self.columns.items()})

    def replace(self, columns: Mapping[str, Column]) -> "Block":
        """Return a copy of the block with other columns."""
        return msgspec.structs.replace(self, columns=MappingProxyType(dict(columns)))

    def with_columns(self, **columns: Column) -> "Block":
        """Return a copy of the block with columns added or replaced."""
        return self.replace({**self.columns, **columns})

    def read_only(self) -> "Block":
        """Return read-only views of the columns; the block itself if they are read-only."""
        columns = self.columns
        if any(column.flags.writeable for column in columns.values()):
            return self.replace({name: read_only(column) for name, column in columns.items()})
        return self

    def bar(self, row: int) -> TradeBar:
        """Convert one row to a bar."""
        columns = self.columns
        vwap = float(columns["vwap"][row])
        trade_count = int(columns["trade_count"][row])
        return TradeBar(
            self.symbols[columns["symbol"][row]],
            from_ns(int(columns["start_ns"][row])),
            float(columns["open"][row]),
            float(columns["high"][row]),
            float(columns["low"][row]),
            float(columns["close"][row]),
            float(columns["volume"][row]),
            None if vwap != vwap else vwap,  # noqa: PLR0124 - NaN does not equal itself
            None if trade_count < 0 else trade_count,
            self.resolution,
        )

    def bars(self) -> Iterator[TradeBar]:
        """Yield every row as a bar, in order."""
        return (self.bar(row) for row in range(len(self)))


def _restore(
    header: tuple[Kind, Resolution, str, tuple[str, ...]],
    columns: dict[str, Column],
    simulated: bool,  # noqa: FBT001 - pickle passes no names
) -> Block:
    return Block(*header, MappingProxyType(columns), simulated)


def format_symbols(symbols: Sequence[str]) -> str:
    """Format symbols for messages: the first five, then how many more."""
    names = ", ".join(symbols[:SYMBOLS_SHOWN])
    more = len(symbols) - SYMBOLS_SHOWN
    return f"{names} and {more} more" if more > 0 else names or "no symbol"


def read_only(column: Column) -> Column:
    """Return a read-only view of an array."""
    if not column.flags.writeable:
        return column
    view = column.view()
    view.flags.writeable = False
    return view


def empty_block(
    feed: str,
    *,
    kind: Kind = BAR,
    resolution: Resolution = Resolution.MINUTE,
    simulated: bool = False,
) -> Block:
    """Make a block without rows."""
    columns = {name: np.empty(0, dtype) for name, dtype in kind.required.items()}
    return Block(kind, resolution, feed, (), MappingProxyType(columns), simulated)


def from_columns(
    feed: str,
    symbol_names: Sequence[str],
    columns: Mapping[str, npt.ArrayLike],
    *,
    kind: Kind = BAR,
    resolution: Resolution = Resolution.MINUTE,
    simulated: bool = False,
) -> Block:
    """
    Make a block from the symbol of each row and the other columns.

    ValueError if a required column is missing.
    """
    symbols = tuple(dict.fromkeys(symbol_names))
    index_of = {symbol: index for index, symbol in enumerate(symbols)}
    given = {**columns, "symbol": [index_of[symbol] for symbol in symbol_names]}
    missing = kind.required.keys() - given.keys()
    if missing:
        message = f"a block of kind {kind.name} needs the columns {', '.join(sorted(missing))}"
        raise ValueError(message)
    dtypes = kind.columns
    typed = {n: np.asarray(given[n], dtype) for n, dtype in dtypes.items() if n in given}
    return Block(kind, resolution, feed, symbols, MappingProxyType(typed), simulated)


def from_bars(
    bars: Sequence[TradeBar],
    *,
    feed: str,
    origin: Origin = Origin.CUSTOM,
    received_ns: int = 0,
    simulated: bool = False,
) -> Block:
    """Convert bars of one resolution to a block; ValueError if resolutions differ."""
    values = {
        "open": _to_column([bar.open for bar in bars]),
        "high": _to_column([bar.high for bar in bars]),
        "low": _to_column([bar.low for bar in bars]),
        "close": _to_column([bar.close for bar in bars]),
        "volume": _to_column([bar.volume for bar in bars]),
        "vwap": _to_column([bar.vwap for bar in bars]),
        "trade_count": _to_column(
            [-1 if bar.trade_count is None else bar.trade_count for bar in bars], "<i8", -1
        ),
    }
    constants = {"origin": origin, "received_ns": received_ns}
    return _from_records(bars, BAR, values, constants, feed, simulated=simulated)


def from_quotes(
    quotes: Sequence[QuoteBar],
    *,
    feed: str,
    origin: Origin = Origin.CUSTOM,
    received_ns: int = 0,
    simulated: bool = False,
) -> Block:
    """Convert quote bars of one resolution to a block; ValueError if resolutions differ."""
    values = {name: _to_column([getattr(quote, name) for quote in quotes]) for name in QUOTE.values}
    constants = {"origin": origin, "received_ns": received_ns}
    return _from_records(quotes, QUOTE, values, constants, feed, simulated=simulated)


def _to_column(values: list[Any], dtype: str = "<f8", missing: float = np.nan) -> Column:
    """Convert values to a column; None, NaN and pandas' NA become `missing`."""
    try:
        return np.asarray(values, dtype)  # converts None to NaN
    except (TypeError, ValueError):  # NaN among integers, or pandas' NA
        return np.asarray([missing if _is_missing(value) else value for value in values], dtype)


def _is_missing(value: object) -> bool:
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 - NaN does not equal itself
    except TypeError:  # a comparison with NA has no truth value
        return True


def _from_records(
    records: Sequence[TradeBar] | Sequence[QuoteBar],
    kind: Kind,
    values: Mapping[str, npt.ArrayLike],
    constants: Mapping[str, int],
    feed: str,
    *,
    simulated: bool,
) -> Block:
    if not records:
        return empty_block(feed, kind=kind, simulated=simulated)
    resolutions = sorted({record.resolution.value for record in records})
    if len(resolutions) > 1:
        message = f"expected bars of one resolution, found {', '.join(resolutions)}"
        raise ValueError(message)
    return from_columns(
        feed,
        [record.symbol for record in records],
        {
            "start_ns": [to_ns(record.timestamp) for record in records],
            **{name: np.full(len(records), value) for name, value in constants.items()},
            **values,
        },
        kind=kind,
        resolution=records[0].resolution,
        simulated=simulated,
    )


def concat(blocks: Sequence[Block]) -> Block:
    """
    Join blocks of one kind, resolution and feed, row after row.

    ValueError if there is no block, or if kinds, resolutions, feeds or columns differ.
    """
    if not blocks:
        message = "can't join blocks: at least one is needed"
        raise ValueError(message)
    first = blocks[0]
    if len(blocks) == 1:
        return first
    schema = _schema_of(first)
    if any(_schema_of(block) != schema for block in blocks):
        message = "can't join blocks of different kind, resolution, feed or columns"
        raise ValueError(message)
    symbols = tuple(dict.fromkeys(symbol for block in blocks for symbol in block.symbols))
    index_of = {symbol: index for index, symbol in enumerate(symbols)}
    columns = {
        name: np.concatenate([block[name] for block in blocks])
        for name in first.columns
        if name != "symbol"
    }
    columns["symbol"] = np.concatenate(
        [np.array([index_of[s] for s in b.symbols], "<u2")[b["symbol"]] for b in blocks]
    )
    return msgspec.structs.replace(first, symbols=symbols, columns=MappingProxyType(columns))


def _schema_of(block: Block) -> tuple[object, ...]:
    return block.kind.name, block.resolution, block.feed, block.simulated, block.columns.keys()
