"""Conversions between the arguments of DataPersistence and the values of its columns."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, SupportsFloat

import msgspec
import numpy as np

from lean_lite.model import DataQualityLevel

# Sorts before every timestamp.
EARLIEST = ""
# Types of pandas' missing values, by name: pandas is an extra.
MISSING = frozenset({"NaTType", "NAType"})


def to_text(name: str, value: object) -> str:
    """
    Return plain text.

    Args:
        name: name of the argument, for the error.
        value: the argument.

    Raises:
        TypeError: it is not a str.
        ValueError: it is not Unicode.
    """
    if not isinstance(value, str):
        message = f"{name} must be text, not {value!r}"
        raise TypeError(message)
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{name} can't be saved: {error}; use text without lone surrogates"
        raise ValueError(message) from error
    return text


def error_message(message: object) -> str:
    """Return the message of an error, or its repr if empty; lone surrogates are escaped."""
    text = str(message)
    if isinstance(message, BaseException):
        text = text or repr(message)
    return text.encode(errors="backslashreplace").decode()


def to_timestamp(name: str, time: object) -> str:
    """
    Return a datetime as UTC text that sorts by time; a naive one is local time.

    Args:
        name: name of the argument, for the error.
        time: the argument.

    Raises:
        TypeError: it is not a datetime.
        ValueError: it is outside of the years 2 to 9998.
    """
    if not isinstance(time, datetime):
        message = f"{name} must be a datetime, such as datetime.now(UTC), not {time!r}"
        raise TypeError(message)
    try:
        if type(time) is not datetime:  # The methods of pandas' Timestamp differ.
            time = datetime.fromisoformat(time.isoformat())
        in_utc = time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        message = f"{name} must lie in the years 2 to 9998, not {time!r}"
        raise ValueError(message) from error
    return f"{in_utc.isoformat(timespec='microseconds')}Z"


def timestamp_ago(age: timedelta) -> str:
    """Return the timestamp `age` ago; `EARLIEST` if datetime can't represent it."""
    try:
        return to_timestamp("age", datetime.now(UTC) - age)
    except OverflowError:
        return EARLIEST


def timestamp_hours_ago(hours: object) -> str:
    """Return the timestamp `hours` ago; infinity gives `EARLIEST`."""
    number = _number("hours", hours, "a number")
    if not number >= 0:
        message = f"hours must be 0 or more, not {hours!r}"
        raise ValueError(message)
    try:
        return timestamp_ago(timedelta(hours=number))
    except OverflowError:
        return EARLIEST


def to_score(score: object) -> float | None:
    """Return the score of a grade or a number; None for None and numbers that are not finite."""
    if score is None:
        return None
    if isinstance(score, DataQualityLevel):
        return float(score.value)
    number = _number("quality_score", score, "a number, a DataQualityLevel or None")
    return number if math.isfinite(number) else None


def to_json(data: object) -> str:
    """Return data as JSON, with numpy's numbers and arrays, pandas' times and any sequence."""
    try:
        return msgspec.json.encode(data, enc_hook=_plain).decode()
    except (TypeError, ValueError, RecursionError) as error:
        message = (
            f"data can't be saved as JSON: {error}; "
            "use numbers, text, times, lists, mappings with text keys, dataclasses or Structs"
        )
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error


def decode_row(row: dict[str, Any]) -> dict[str, Any]:
    """Decode the timestamp and the JSON of a row, in place."""
    row["timestamp"] = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
    if "data" in row:
        row["data"] = msgspec.json.decode(row["data"])
    return row


def _number(name: str, value: object, expected: str) -> float:
    if not isinstance(value, SupportsFloat):
        message = f"{name} must be {expected}, not {value!r}"
        raise TypeError(message)
    return float(value)


def _plain(value: object) -> object:
    """Return a value that msgspec does not know as one that it does; TypeError if there is none."""
    kind = type(value)
    if kind.__name__ in MISSING:
        return None
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "mM":
        # `tolist` of nanoseconds returns plain integers.
        return value.astype(f"{value.dtype.kind}8[us]").tolist()
    for name in ("isoformat", "tolist"):
        method = getattr(value, name, None)
        # `tolist` of a long double returns a long double.
        if method is not None and type(plain := method()) is not kind:
            return plain
    # A dict, list or tuple gets here only as the key of a mapping, which JSON does not allow.
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, list | tuple):
        return list(value)
    message = f"it contains a {kind.__module__}.{kind.__qualname__}"
    raise TypeError(message)
