"""Many records of one kind as columns."""

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
    Hold many records of one kind, one resolution and one feed as numpy columns.

    `columns` maps a name of `kind.columns` to an array of one length; `symbol` holds indices into
    `symbols`. Times are nanoseconds since 1970 UTC; `start_ns` is the start of a bar. Arrays that
    came from bytes are read-only.
    """

    kind: Kind
    resolution: Resolution
    feed: str
    symbols: tuple[str, ...]
    columns: Mapping[str, Column]
    simulated: bool = False

    def __reduce__(self) -> tuple[object, ...]:
        """Say how to make the same block again: the view of its columns can't be pickled."""
        head = self.kind, self.resolution, self.feed, self.symbols
        return _restore, (head, dict(self.columns), self.simulated)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["start_ns"])

    def __getitem__(self, name: str) -> Column:
        """Return a column; KeyError when this block has none of that name."""
        return self.columns[name]

    @property
    def end_ns(self) -> Column:
        """Return the end of every bar."""
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
        """Return the symbol of every row."""
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
        """Return the chosen rows, in the order chosen; a slice copies nothing."""
        return self.replace({name: column[rows] for name, column in self.columns.items()})

    def replace(self, columns: Mapping[str, Column]) -> "Block":
        """Return the same kind of block with other columns."""
        return msgspec.structs.replace(self, columns=MappingProxyType(dict(columns)))

    def with_columns(self, **columns: Column) -> "Block":
        """Return the block with columns added or replaced."""
        return self.replace({**self.columns, **columns})

    def read_only(self) -> "Block":
        """Return the same rows in the same memory, which nobody can change through them."""
        for column in self.columns.values():
            if column.flags.writeable:
                return self.replace({name: read_only(one) for name, one in self.columns.items()})
        return self

    def bar(self, row: int) -> TradeBar:
        """Return one row as a bar."""
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
            None if vwap != vwap else vwap,  # noqa: PLR0124 - NaN is the only value unlike itself
            None if trade_count < 0 else trade_count,
            self.resolution,
        )

    def bars(self) -> Iterator[TradeBar]:
        """Yield every row as a bar."""
        return (self.bar(row) for row in range(len(self)))


def _restore(
    head: tuple[Kind, Resolution, str, tuple[str, ...]],
    columns: dict[str, Column],
    simulated: bool,  # noqa: FBT001 - pickle passes no names
) -> Block:
    return Block(*head, MappingProxyType(columns), simulated)


def format_symbols(symbols: Sequence[str]) -> str:
    """Format symbols for messages: the first five, then how many more."""
    names = ", ".join(symbols[:SYMBOLS_SHOWN])
    more = len(symbols) - SYMBOLS_SHOWN
    return f"{names} and {more} more" if more > 0 else names or "no symbol"


def read_only(column: Column) -> Column:
    """Return an array in the same memory that can't be written."""
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
    """Return a block without rows."""
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
    """Return a block from one symbol per row and its other columns; ValueError when one lacks."""
    symbols = tuple(dict.fromkeys(symbol_names))
    place = {symbol: index for index, symbol in enumerate(symbols)}
    given = {**columns, "symbol": [place[symbol] for symbol in symbol_names]}
    missing = kind.required.keys() - given.keys()
    if missing:
        message = f"a block of kind {kind.name} lacks {', '.join(sorted(missing))}"
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
    """Return bars of one resolution as a block; ValueError when resolutions differ."""
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
    arrival = {"origin": origin, "received_ns": received_ns}
    return _from_records(bars, BAR, values, arrival, feed, simulated=simulated)


def from_quotes(
    quotes: Sequence[QuoteBar],
    *,
    feed: str,
    origin: Origin = Origin.CUSTOM,
    received_ns: int = 0,
    simulated: bool = False,
) -> Block:
    """Return quote bars of one resolution as a block; ValueError when resolutions differ."""
    values = {name: _to_column([getattr(quote, name) for quote in quotes]) for name in QUOTE.values}
    arrival = {"origin": origin, "received_ns": received_ns}
    return _from_records(quotes, QUOTE, values, arrival, feed, simulated=simulated)


def _to_column(values: list[Any], dtype: str = "<f8", missing: float = np.nan) -> Column:
    """Return values as a column; None, NaN and pandas' NA are missing ones."""
    try:
        return np.asarray(values, dtype)  # to which None is NaN already
    except (TypeError, ValueError):  # no whole number is NaN, and no number at all is NA
        return np.asarray([missing if _is_missing(one) else one for one in values], dtype)


def _is_missing(value: object) -> bool:
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 - NaN is unlike itself
    except TypeError:  # and NA will not say
        return True


def _from_records(
    records: Sequence[TradeBar] | Sequence[QuoteBar],
    kind: Kind,
    values: Mapping[str, npt.ArrayLike],
    arrival: Mapping[str, int],
    feed: str,
    *,
    simulated: bool,
) -> Block:
    if not records:
        return empty_block(feed, kind=kind, simulated=simulated)
    resolutions = sorted({record.resolution.value for record in records})
    if len(resolutions) > 1:
        message = f"bars of one block have one resolution, not {', '.join(resolutions)}"
        raise ValueError(message)
    return from_columns(
        feed,
        [record.symbol for record in records],
        {
            "start_ns": [to_ns(record.timestamp) for record in records],
            **{name: np.full(len(records), value) for name, value in arrival.items()},
            **values,
        },
        kind=kind,
        resolution=records[0].resolution,
        simulated=simulated,
    )


def concat(blocks: Sequence[Block]) -> Block:
    """
    Return all rows of blocks of one kind, resolution and feed, in order.

    ValueError when there is no block, or when kinds, resolutions, feeds or columns differ.
    """
    if not blocks:
        message = "nothing to join: at least one block is needed"
        raise ValueError(message)
    first = blocks[0]
    if len(blocks) == 1:
        return first
    shape = _schema_of(first)
    if any(_schema_of(block) != shape for block in blocks):
        message = "blocks of different kind, resolution, feed or columns can't be joined"
        raise ValueError(message)
    symbols = tuple(dict.fromkeys(symbol for block in blocks for symbol in block.symbols))
    place = {symbol: index for index, symbol in enumerate(symbols)}
    columns = {
        name: np.concatenate([block[name] for block in blocks])
        for name in first.columns
        if name != "symbol"
    }
    columns["symbol"] = np.concatenate(
        [np.array([place[s] for s in b.symbols], "<u2")[b["symbol"]] for b in blocks]
    )
    return msgspec.structs.replace(first, symbols=symbols, columns=MappingProxyType(columns))


def _schema_of(block: Block) -> tuple[object, ...]:
    return block.kind.name, block.resolution, block.feed, block.simulated, block.columns.keys()
