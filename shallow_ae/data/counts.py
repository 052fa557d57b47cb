"""Counts of interactions: the checked numbers of their column, and a column without its name."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from shallow_ae._runtime.warnings import warn_caller
from shallow_ae.data.matrices import as_frame

# NumPy would convert most of these types to float without an error.
_DURATIONS = (np.timedelta64, timedelta)
_NO_NUMBERS = (complex, np.complexfloating, np.datetime64, date, *_DURATIONS)
_WORDS = "count|play|listen|stream|view|click|visit|purchase|order|quantity|qty|frequency|freq"
_COUNT_NAME = re.compile(rf"(.*[^a-z])?((num|n)[^a-z]*)?({_WORDS})(s|count|counts)?([^a-z].*)?")
_NO_COUNT_NAME = re.compile(r".*(id|ids|time|date|at|timestamp|year|day|rank|price)")


def check_counts(
    counts: Any, n_interactions: int, name: str
) -> tuple[NDArray[np.float64], type[np.floating[Any]]]:
    """Return the checked counts as float64, and the data type of the matrix."""
    if counts is None:
        return np.ones(n_interactions), np.float32
    values = np.asarray(counts)
    types = set(map(type, values)) if values.dtype == object else {values.dtype.type}
    for kind in types:
        if issubclass(kind, _DURATIONS):
            raise ValueError(
                f"Column {name!r} must hold numbers, found {kind.__name__}. Convert the lengths of "
                "time to numbers: `column.dt.total_seconds()` in pandas."
            )
        if issubclass(kind, _NO_NUMBERS):
            raise ValueError(
                f"Column {name!r} must hold numbers, found {kind.__name__}. Name the column with "
                "the counts as `count`, or leave the column out: each row then counts 1."
            )
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"Column {name!r} must hold numbers: {error}. Convert the column, or name another "
            "column as `count`."
        ) from error
    bad = ~(numbers >= 0) | np.isinf(numbers)  # the first condition includes NaN
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"Column {name!r} holds {int(bad.sum()):,} counts that are negative, infinite or NaN, "
            f"the first in row {row}: {numbers[row]}. Counts must be finite and >= 0."
        )
    return numbers, np.float64 if any(issubclass(kind, float) for kind in types) else np.float32


def check_some_counts(n_counted: int, n_rows: int, name: str) -> None:
    """Raise a ValueError if none of the rows has a count > 0."""
    if not n_counted:
        raise ValueError(
            f"All {n_rows:,} counts in column {name!r} are 0: nobody has seen any item. "
            "Expected at least one count > 0. If each row is an interaction, leave the column "
            "out: each row then counts 1."
        )


def count_column(frame: nw.DataFrame[Any], name: str) -> nw.Series[Any] | None:
    """Return the column of counts; None if there is no column with the default name.

    Raises a ValueError if a column of another name is missing.
    """
    if name in frame.columns:
        return frame.get_column(name)
    if name not in ("", "count"):
        raise ValueError(
            f"The frame has no column {name!r}, only {frame.columns}. Pass the name of the column "
            "with the counts as `count`. If each row counts 1, keep the default name, or add a "
            "column of ones."
        )
    return None


def warn_of_counts(interactions: Any, count: str, names: tuple[Any, ...]) -> None:
    """Warn if the counts of a frame are text, or if its counts seem to have another name.

    `names` are the other columns that are read. The name of a count contains a word such as
    "count", "plays" or "views", and does not end like a time or an id.
    """
    frame = as_frame(interactions)
    if frame is None:
        return
    if count in frame.columns:
        counts = frame.get_column(count)
        if counts.dtype == nw.String:
            warn_caller(
                f"Column {count!r} holds text such as {counts[0]!r}, which is read as numbers. "
                "Convert it: `pandas.to_numeric(column)`."
            )
        return
    for name in frame.columns:
        lower = re.sub("(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()
        is_count = _COUNT_NAME.fullmatch(lower) and not _NO_COUNT_NAME.fullmatch(lower)
        if name not in names and is_count and frame.get_column(name).dtype.is_numeric():
            warn_caller(
                f"Each row counts 1: the frame has no column 'count'. If its column {name!r} holds "
                f"the counts, pass `count`={name!r}; if not, leave the column out of the frame."
            )
            return
