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
from shallow_ae._weights.candidate_lists import CandidateFilter, ItemLists

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_NUMBERS = (int, float, np.integer, np.floating, np.bool_)


class Catalogue:
    """The items of a model by raw id."""

    def __init__(self, items: Array) -> None:
        self.items = items
        # Numbers become Python's, which are equal to NumPy's as keys and can be written as JSON.
        self.ids = items.tolist() if items.dtype.kind in "biufOUS" else list(items)
        self.column_of = {item: column for column, item in enumerate(self.ids)}
        if len(self.column_of) != len(items):
            raise ValueError("The item ids hold an id twice.")

    def __len__(self) -> int:
        return len(self.ids)

    def known_column(self, item: Any) -> int:
        """Return the column of an item; raise a ValueError if `fit` did not see it."""
        (found,) = _hashable("item", [item])
        if found not in self.column_of:
            raise ValueError(f"The item {item!r} was not seen in fit.")
        return self.column_of[found]

    def columns(self, name: str, items: Any) -> NDArray[np.int32]:
        """Return the columns of the known items of a list, in ascending order."""
        listed = _hashable(name, checked_list(name, items))
        found = {self.column_of[item] for item in listed if item in self.column_of}
        return np.array(sorted(found), np.int32)


class Histories(NamedTuple):
    """Rows of histories: the known items of each in ascending order of columns, without zeros."""

    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Array  # counts, or their weights

    def matrix(self, n_items: int) -> sp.csr_array[Any]:
        """Return the rows as a sparse matrix."""
        arrays = (self.values, self.columns, self.indptr.astype(np.int32))
        return sp.csr_array(arrays, shape=(len(self.indptr) - 1, n_items))


def read_histories(histories: list[Any], catalogue: Catalogue) -> tuple[Histories, list[list[Any]]]:
    """Return the counts of histories, and the unknown items of each.

    A history is a mapping of items to counts, or a list of items. As in IdMapper, counts are
    float64 if one of them is a float, else float32.

    Raises
    ------
    TypeError, ValueError
        If a history has another form, or a count is not a finite number >= 0.
    """
    ends, columns, counts, unknown, is_double = [0], [], [], [], False
    column_of = catalogue.column_of
    for history in histories:
        own: Mapping[Any, Any] = history
        if isinstance(history, Mapping):
            is_double |= _check_counts(history)
        else:
            own = Counter(_hashable("history", checked_list("history", history)))
        entries = [(column_of[item], n) for item, n in own.items() if item in column_of and n]
        entries.sort()
        columns += [column for column, _ in entries]
        counts += [count for _, count in entries]
        ends.append(len(columns))
        unknown.append([item for item in own if item not in column_of])
    dtype = np.float64 if is_double else np.float32
    if not is_double and max(counts, default=0) > _FLOAT32_MAX:
        raise ValueError("A count is too large for float32. Pass it as a float.")
    values = np.array(counts, dtype)
    return Histories(np.array(ends, np.int64), np.array(columns, np.int32), values), unknown


def filter_of(
    rows: Histories,
    catalogue: Catalogue,
    exclude_seen: bool,
    candidates: Sequence[Any] | None,
    exclude: Sequence[Any] | None,
) -> CandidateFilter:
    """Return the candidate filter for rows, each with its own list of items or None."""
    starts, stops = rows.indptr[:-1], rows.indptr[1:]
    nothing = ItemLists(starts, starts, rows.columns)
    is_restricted = candidates is not None and any(own is not None for own in candidates)
    return CandidateFilter(
        ItemLists(starts, stops, rows.columns) if exclude_seen else nothing,
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
    # A Series or a frame is not accepted as a list of its values: the ids may be in its index.
    is_list = isinstance(given, Iterable) and not hasattr(given, "items")
    if isinstance(given, np.ndarray):
        is_list, given = given.ndim == 1, given.tolist()
    if not is_list or isinstance(given, str | bytes | bytearray):
        raise TypeError(
            f"`{name}` must be a list of item ids, got {given!r}. A Series has `to_dict` and "
            "`tolist`."
        )
    return given  # type: ignore[no-any-return]


def _hashable(name: str, items: Iterable[Any]) -> list[Any]:
    """Return items as a list; raise a TypeError if one cannot be an id."""
    listed = list(items)
    try:
        set(map(hash, listed))
    except TypeError as error:
        raise TypeError(
            f"`{name}` holds a value that is not an id: {error}. Ids are hashable."
        ) from error
    return listed


def _lists(name: str, given: Any, catalogue: Catalogue, default: NDArray[np.int32]) -> ItemLists:
    lists = [default if own is None else catalogue.columns(name, own) for own in given]
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
