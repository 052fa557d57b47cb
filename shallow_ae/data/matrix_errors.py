"""Errors for tables that are not a users x items matrix of counts."""

from __future__ import annotations

import re
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp

from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Interactions

_USERS = re.compile(r"(user|listener|customer|client|member|visitor)(s|_?id|_?key|_?name)?")
_ITEMS = re.compile(
    r"(item|song|track|artist|album|product|movie|film|book|article)(s|_?id|_?key|_?name)?"
)
_MOST_FIELDS = 8  # of a table of interactions
_REMEDY = (
    "Pass interactions with raw ids to `make_recommender(...)`, or turn them into a matrix by "
    "`IdMapper().fit_transform(X)`."
)


def check_names_of_items(frame: nw.DataFrame[Any]) -> None:
    """Raise a ValueError if the columns of a frame are fields of interactions, not items.

    Issues a warning if only one column has the name of a user.
    """
    names = [name for name in frame.columns if isinstance(name, str)]
    users = [name for name in names if _USERS.fullmatch(name.lower())]
    items = [name for name in names if _ITEMS.fullmatch(name.lower())]
    if not users:
        return
    if items and len(frame.columns) <= _MOST_FIELDS:
        raise ValueError(
            f"X has the columns {frame.columns}, which are named as fields of interactions, and "
            "expected is a row for each user and a column for each item. " + _REMEDY
        )
    if frame.get_column(users[0]).dtype.is_numeric():
        warn_caller(
            f"The column {users[0]!r} of X is taken as an item. If it holds the users of the rows, "
            f"leave it out: `X.set_index({users[0]!r})` in pandas."
        )


def text_in(X: Any, frame: nw.DataFrame[Any] | None) -> ValueError | None:
    """Return the error for a matrix that holds text, and None for a matrix without text."""
    if frame is None:
        rows = X if isinstance(X, list | tuple) else np.ravel(X).tolist()
        values = (
            value for row in rows for value in (row if isinstance(row, list | tuple) else [row])
        )
        first = next((value for value in values if isinstance(value, str)), None)
        if first is None:
            return None
        return ValueError(
            f"X holds text such as {first!r}, expected numbers: a row for each user and a column "
            f"for each item. If the rows are interactions: {_REMEDY}"
        )
    for name in frame.columns:
        column = frame.get_column(name)
        is_text = column.dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object)
        if is_text and any(isinstance(value, str) for value in column.to_list()):
            return ValueError(
                f"The column {name!r} holds text, expected numbers: a row for each user and a "
                "column for each item. If the column holds the users of the rows, leave it out: "
                f"`X.set_index({name!r})` in pandas. If the rows are interactions: {_REMEDY}"
            )
    return None


def missing_in(X: Interactions, frame: nw.DataFrame[Any] | None) -> ValueError | None:
    """Return the error for a checked matrix with NaN, and None for a matrix without NaN."""
    bad = np.isnan(X.data if isinstance(X, sp.csr_array) else X)
    if not bad.any():
        return None
    row, column = place_of(X, int(bad.argmax()))
    name = "" if frame is None else f" ({frame.columns[column]!r})"
    return ValueError(
        f"Input X contains NaN: {int(bad.sum()):,} in all, the first in row {row}, column "
        f"{column}{name}. {how_to_fill(X, frame)}"
    )


def place_of(X: Interactions, entry: int) -> tuple[int, int]:
    """Return the row and the column of an entry, which is counted among the stored entries."""
    if isinstance(X, sp.csr_array):
        return int(np.searchsorted(X.indptr, entry, side="right")) - 1, int(X.indices[entry])
    row, column = divmod(entry, X.shape[1])
    return row, column


def how_to_fill(X: Interactions, frame: nw.DataFrame[Any] | None) -> str:
    """Return what to do about NaN in a checked matrix, which was given as a frame or not."""
    call = "`X.data = numpy.nan_to_num(X.data)`" if sp.issparse(X) else "`numpy.nan_to_num(X)`"
    if frame is not None:
        in_pandas = frame.implementation.is_pandas_like()
        call = "`X.fillna(0)`" if in_pandas else "`X.fill_null(0).fill_nan(0)`"
    return f"Expected 0 for an item that the user has not seen: call {call}."
