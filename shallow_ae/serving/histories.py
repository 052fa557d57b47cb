"""Histories of users, with raw ids, as rows of a matrix."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter, ItemLists, lists_of_rows

_NUMBERS = (int, float, np.integer, np.floating, np.bool_)


class Catalogue:
    """The items of a model by raw id."""

    def __init__(self, items: Array) -> None:
        self.items = items
        # Numbers become Python's, which are equal to NumPy's as keys and can be written as JSON.
        self.ids = items.tolist() if items.dtype.kind in "biufOUS" else list(items)
        self._column = {item: column for column, item in enumerate(self.ids)}
        if len(self._column) != len(items):
            raise ValueError("The item ids hold an id twice.")

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, item: Any) -> int | None:
        """Return the column of an item, or None if the model does not know it."""
        try:
            return self._column.get(item)
        except TypeError:
            raise TypeError(f"{item!r} is no item id: ids are hashable.") from None

    def known_column(self, item: Any) -> int:
        """Return the column of an item; raise a ValueError if the model does not know it."""
        column = self.column(item)
        if column is None:
            raise ValueError(f"The item {item!r} was not seen in fit.")
        return column

    def columns(self, name: str, items: Any) -> NDArray[np.int32]:
        """Return the columns of the known items of a list, in ascending order."""
        found = {self.column(item) for item in checked_list(name, items)} - {None}
        return np.array(sorted(found), np.int32)  # type: ignore[type-var]


class Row(NamedTuple):
    """The history of a user: known items in ascending order of columns, and unknown items."""

    columns: Array
    counts: Array
    unknown: list[Any]
    is_double: bool  # whether the counts are given as floats


def row_of(history: Any, catalogue: Catalogue) -> Row:
    """Return the row of a history: a mapping of items to counts, or a list of items.

    Raises
    ------
    TypeError, ValueError
        If the history has another form, or a count is not a finite number >= 0.
    """
    if isinstance(history, Mapping):
        counts: Mapping[Any, Any] = history
        is_double = _check_counts(history)
    else:
        counts, is_double = Counter(checked_list("history", history)), False
    entries, unknown = [], []
    for item, count in counts.items():
        column = catalogue.column(item)
        if column is None:
            unknown.append(item)
        elif count:
            entries.append((column, float(count)))
    entries.sort()
    columns = np.fromiter((column for column, _ in entries), np.int32, len(entries))
    values = np.fromiter((count for _, count in entries), np.float64, len(entries))
    return Row(columns, values, unknown, is_double)


def matrix_of(rows: Sequence[Row], n_items: int) -> sp.csr_array[Any]:
    """Return the counts of histories, as IdMapper does: float64 if a count is a float."""
    dtype = np.float64 if any(row.is_double for row in rows) else np.float32
    indptr = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row.columns) for row in rows], out=indptr[1:])
    with np.errstate(over="ignore"):
        data = np.concatenate([row.counts for row in rows]).astype(dtype)
    if not np.isfinite(data).all():
        raise ValueError(f"A count is too large for {np.dtype(dtype)}. Pass it as a float.")
    columns = np.concatenate([row.columns for row in rows])
    return sp.csr_array((data, columns, indptr), shape=(len(rows), n_items))


def filter_of(
    X: sp.csr_array[Any],
    catalogue: Catalogue,
    exclude_seen: bool,
    candidates: Sequence[Any] | None,
    exclude: Sequence[Any] | None,
) -> CandidateFilter:
    """Return the candidate filter for rows, each with its own list of items or None."""
    n_rows = X.shape[0]
    nothing = _joined([np.empty(0, np.int32)] * n_rows)
    is_restricted = candidates is not None and any(own is not None for own in candidates)
    return CandidateFilter(
        lists_of_rows(X) if exclude_seen else nothing,
        nothing
        if exclude is None
        else _lists("exclude", exclude, catalogue, np.empty(0, np.int32)),
        _lists("candidates", candidates, catalogue, np.arange(len(catalogue), dtype=np.int32))
        if is_restricted
        else nothing,
        is_restricted,
    )


def checked_list(name: str, given: Any) -> Iterable[Any]:
    """Return a list of item ids, or raise a TypeError for a string, a mapping or another type."""
    # A Series or a frame is no list of its values: its ids may lie in its index.
    is_list = isinstance(given, Iterable) and not hasattr(given, "items")
    if isinstance(given, np.ndarray):
        is_list, given = given.ndim == 1, given.tolist()
    if not is_list or isinstance(given, str | bytes | bytearray):
        raise TypeError(
            f"`{name}` must be a list of item ids, got {given!r}. A Series has `to_dict` and "
            "`tolist`."
        )
    return given  # type: ignore[no-any-return]


def _lists(name: str, given: Any, catalogue: Catalogue, default: NDArray[np.int32]) -> ItemLists:
    return _joined([default if own is None else catalogue.columns(name, own) for own in given])


def _joined(lists: list[NDArray[np.int32]]) -> ItemLists:
    ends = np.cumsum([0, *map(len, lists)])
    return ItemLists(ends[:-1], ends[1:], np.concatenate(lists))


def _check_counts(history: Mapping[Any, Any]) -> bool:
    """Check the counts, and return whether one of them is a float."""
    is_double = False
    for item, count in history.items():
        if not isinstance(count, _NUMBERS) or not 0 <= _as_float(count) < math.inf:
            raise ValueError(f"The count of {item!r} is {count!r}, expected a finite number >= 0.")
        is_double |= isinstance(count, float)
    return is_double


def _as_float(count: Any) -> float:
    try:
        return float(count)
    except OverflowError:  # of an integer
        return math.inf
