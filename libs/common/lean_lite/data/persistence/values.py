"""What the columns of DataPersistence's tables take, made of what a caller has at hand."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import SupportsFloat

import msgspec
import numpy as np

from lean_lite.model import DataQualityLevel

# Text before any moment's.
BEGINNING = ""
MISSING = frozenset({"NaTType", "NAType"})


def to_text(name: str, value: object) -> str:
    """Return text; TypeError when it is none, ValueError when it is not Unicode."""
    if not isinstance(value, str):
        message = f"{name} is text, not {value!r}"
        raise TypeError(message)
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{name} can't be kept: {error}; give text without lone surrogates"
        raise ValueError(message) from error
    return text


def error_message(message: object) -> str:
    """Return what an error says, and what it is when it says nothing; any text can be kept."""
    text = str(message)
    if isinstance(message, BaseException):
        text = text or repr(message)
    return text.encode(errors="backslashreplace").decode()


def to_timestamp(name: str, moment: object) -> str:
    """Return a datetime as text in UTC that sorts by time; a naive one is local time."""
    if not isinstance(moment, datetime):
        message = f"{name} is a datetime, as datetime.now(UTC), not {moment!r}"
        raise TypeError(message)
    try:
        if type(moment) is not datetime:  # A Timestamp of pandas, whose methods differ.
            moment = datetime.fromisoformat(moment.isoformat())
        there = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        message = f"{name} is a moment of the years 2 to 9998, not {moment!r}"
        raise ValueError(message) from error
    return f"{there.isoformat(timespec='microseconds')}Z"


def timestamp_ago(age: timedelta) -> str:
    """Return the moment that was so long ago as text; `BEGINNING` when no calendar has it."""
    try:
        return to_timestamp("age", datetime.now(UTC) - age)
    except OverflowError:
        return BEGINNING


def timestamp_hours_ago(hours: object) -> str:
    """Return the moment so many hours ago as text; any number from nought, also an endless one."""
    number = _number("hours", hours, "a number")
    if not number >= 0:
        message = f"hours is a number from 0, not {hours!r}"
        raise ValueError(message)
    try:
        return timestamp_ago(timedelta(hours=number))
    except OverflowError:
        return BEGINNING


def to_score(score: object) -> float | None:
    """Return the score of a grade or a number; None of none and of what is not finite."""
    if score is None:
        return None
    if isinstance(score, DataQualityLevel):
        return float(score.value)
    number = _number("quality_score", score, "a number, a DataQualityLevel or None")
    return number if math.isfinite(number) else None


def to_json(data: object) -> str:
    """Return JSON; numbers and arrays of numpy, times of pandas and sequences are carried, too."""
    try:
        return msgspec.json.encode(data, enc_hook=_plain).decode()
    except (TypeError, ValueError, RecursionError) as error:
        message = (
            f"data can't be kept as JSON: {error}; "
            "give numbers, text, times, lists, mappings by text, dataclasses or Structs"
        )
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error


def _number(name: str, value: object, wanted: str) -> float:
    if not isinstance(value, SupportsFloat):
        message = f"{name} is {wanted}, not {value!r}"
        raise TypeError(message)
    return float(value)


def _plain(value: object) -> object:
    kind = type(value)
    if kind.__name__ in MISSING:
        return None
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "mM":
        # In nanoseconds, numpy would make plain numbers of them.
        return value.astype(f"{value.dtype.kind}8[us]").tolist()
    for name in ("isoformat", "tolist"):
        method = getattr(value, name, None)
        # A long double makes itself of itself.
        if method is not None and type(plain := method()) is not kind:
            return plain
    # Those that JSON knows come here only as the key of a mapping, which they can't be.
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, list | tuple):
        return list(value)
    message = f"it has a {kind.__module__}.{kind.__qualname__}"
    raise TypeError(message)
