"""Columns without names: of lists of tuples and of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain

NO_INTERACTIONS = (
    "Found no interactions: 0 rows, where a minimum of 1 is required. "
    "Pass at least one (user, item)."
)


IF_USERS = (
    "If these are ids of users, pass the rows of their interactions, or `users=` to a pipeline "
    "with `keep_interactions`=True."
)


_ROWS = (Sequence, np.ndarray, np.void, pd.Series)


def fields_of(interactions: Any) -> list[Array]:
    """Return the columns of a list of tuples or an array."""
    if sp.issparse(interactions):
        raise TypeError(
            "Sparse input is not supported here: a users x items matrix needs no IdMapper. "
            "Pass it to the next step, or pass the interactions with their raw ids."
        )
    if isinstance(interactions, list | tuple):
        return _fields_of_rows(interactions)
    if not hasattr(interactions, "__array__"):
        raise TypeError(
            "Interactions must be a DataFrame, a list of (user, item) or (user, item, count) "
            f"tuples or an array with those columns, got {type(interactions).__name__}. {IF_USERS}"
        )
    array = np.asarray(interactions)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array of shape (n_interactions, 2 or 3), got {array.ndim}D array of "
            f"shape {array.shape} instead. Reshape your data: columns are user, item, count. "
            f"{IF_USERS}"
        )
    return list((array.astype(object) if array.dtype.kind in "US" else array).T)


def _fields_of_rows(rows: Sequence[Any]) -> list[Array]:
    """Return the columns of a list of tuples, with the values unchanged.

    NumPy and pandas would convert the integers of a list to floats if one value is a float.
    """
    if not rows:
        raise ValueError(NO_INTERACTIONS)
    for kind in set(map(type, rows)):
        if issubclass(kind, str | bytes) or not issubclass(kind, _ROWS):
            row = next(place for place, given in enumerate(rows) if type(given) is kind)
            if not issubclass(kind, Iterable) or issubclass(kind, str | bytes):
                raise TypeError(
                    "Interactions must be (user, item) or (user, item, count) tuples: row "
                    f"{row} is {plain(rows[row])!r}. {IF_USERS}"
                )
            raise TypeError(
                f"Interactions must be (user, item) or (user, item, count) tuples: row {row} is a "
                f"{kind.__name__}, whose fields have no such order. Make a frame of the rows: "
                "pandas.DataFrame(rows), with columns named as in IdMapper."
            )
    width = len(rows[0])
    if set(map(len, rows)) != {width}:
        row = next(place for place, given in enumerate(rows) if len(given) != width)
        raise ValueError(
            f"All interactions need the same fields: row {row} has {len(rows[row])} fields, "
            f"row 0 has {width}."
        )
    if not set(map(type, rows)) <= {tuple, list}:
        rows = list(map(tuple, rows))  # a Series would be indexed by label, not by position
    columns = (map(itemgetter(place), rows) for place in range(width))
    return [of_one_type(np.fromiter(column, object, len(rows))) for column in columns]


def of_one_type(values: Array) -> Array:
    """Return objects that are all integers or all floats as a numeric array, others unchanged."""
    if values.dtype != object:
        return values
    types = set(map(type, values.flat)) or {object}
    for kind, codes in ((int | np.integer, "iu"), (float | np.floating, "f")):
        if all(issubclass(own, kind) and own is not bool for own in types):
            array = np.array(values.tolist())
            return array if array.dtype.kind in codes else values
    return values
