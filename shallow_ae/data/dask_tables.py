"""Dask DataFrames of interactions: numbers for the items, and the rows of users.

A user's interactions may lie in any partition. Dask's shuffle brings the interactions of each user
together. Each partition is checked as a DataFrame in memory is checked, and an error names it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.dask_graphs import Task, computed, in_partition, shared, task, tree_sum
from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.counts import check_some_counts
from shallow_ae.data.dask_arrays import array_of
from shallow_ae.data.frequent_items import check_some_frequent
from shallow_ae.data.id_index import index_of
from shallow_ae.data.tables import (
    IndexedInteractions,
    check_sums,
    encode,
    numbered,
    pairs_in,
    to_csr,
)
from shallow_ae.data.unnamed_columns import NO_INTERACTIONS

_WHAT = "the interactions"
_ROW_BITS = 40  # a position is the number of the partition, followed by the row within it


class UserRows(NamedTuple):
    """The rows of the users of one partition."""

    X: sp.csr_array[Any]
    users: Array  # the raw id of each row


class _Items(NamedTuple):
    """What some partitions hold."""

    ids: Array  # distinct, in order of first appearance
    n_rows: int
    n_counted: int  # rows with a count > 0


def distinct_items(frame: Any, columns: tuple[str, str, str]) -> Array:
    """Check all partitions of a Dask DataFrame, and return its items in order of first appearance.

    `columns` are the names of the columns of users, items and counts. The result does not depend on
    how the rows are divided into partitions.
    """
    parts = _selected(frame, columns).to_delayed()
    given = enumerate(parts)
    tasks = [task(_items_of_partition, part, place, columns) for place, part in given]
    items: _Items = computed([tree_sum(tasks, _joined)])[0]
    if not items.n_rows:
        raise ValueError(NO_INTERACTIONS)
    check_some_counts(items.n_counted, items.n_rows, columns[2])
    return items.ids


def frequent_items(
    frame: Any, columns: tuple[str, str, str], items: Array, min_users: int
) -> Array:
    """Return the `items` that at least `min_users` users have seen, in the same order.

    Unless `min_users` is 1, the rows of each user are brought together to count them.
    """
    if min_users == 1:
        return items
    rows = rows_of_users(frame, columns, items, "ignore")
    n_users: NDArray[np.int64] = computed(
        [tree_sum([task(_users_of_items, part) for part in rows], np.add)]
    )[0]
    check_some_frequent(n_users, min_users)
    return np.asarray(items[n_users >= min_users])


def dtype_of_counts(frame: Any, count: str) -> np.dtype[Any]:
    """Return the data type of the matrix of counts: float64 for a column of float64 or objects."""
    if count not in frame.columns:
        return np.dtype(np.float32)
    given = frame.dtypes[count]
    is_double = pd.api.types.is_float_dtype(given) and getattr(given, "itemsize", 8) == 8
    is_double |= pd.api.types.is_object_dtype(given)
    return np.dtype(np.float64 if is_double else np.float32)


def rows_of_users(
    frame: Any, columns: tuple[str, str, str], items: Array, unknown: str
) -> list[Task]:
    """Return tasks whose results are the `UserRows` of all users, each user in one of them.

    The items of `items` are the columns. Other items are left out if `unknown` is "ignore", and are
    an error if it is "error". A user with only other items has an empty row.
    """
    user = columns[0]
    selected = _selected(frame, columns)
    meta = pd.DataFrame(
        {
            "user": pd.Series(dtype=selected.dtypes[user]),
            "item": np.empty(0, np.int32),
            "count": np.empty(0, np.float64),
            "position": np.empty(0, np.int64),
        }
    )
    index = shared(index_of(items))  # each worker builds its hash table once
    encoded = selected.map_partitions(_encode_partition, columns, index, unknown, meta=meta)
    parts = encoded.shuffle("user", npartitions=frame.npartitions).to_delayed()
    dtype = dtype_of_counts(frame, columns[2])
    return [task(_rows_of_partition, part, index, dtype) for part in parts]


def array_of_counts(frame: Any, columns: tuple[str, str, str], items: Array, unknown: str) -> Any:
    """Return the users x items counts of a Dask DataFrame as a Dask array of csr blocks.

    The users are in the order of `rows_of_users`. The numbers of rows are not known.
    """
    blocks = [task(_matrix_of, rows) for rows in rows_of_users(frame, columns, items, unknown)]
    meta = sp.csr_array((0, len(items)), dtype=dtype_of_counts(frame, columns[2]))
    return array_of(blocks, [np.nan] * len(blocks), len(items), meta)


def _matrix_of(rows: UserRows) -> sp.csr_array[Any]:
    return rows.X


def _users_of_items(rows: UserRows) -> NDArray[np.int64]:
    return np.bincount(rows.X.indices, minlength=rows.X.shape[1])


def _selected(frame: Any, columns: tuple[str, str, str]) -> Any:
    """Return the columns of the frame that are needed; raise a ValueError if one is missing."""
    user, item, count = columns
    pairs_in(pd.DataFrame(columns=list(frame.columns)), user, item)
    return frame[[user, item, *([count] if count in frame.columns else [])]]


def _items_of_partition(part: pd.DataFrame, place: int, columns: tuple[str, str, str]) -> _Items:
    if not len(part):
        return _Items(np.empty(0, object), 0, 0)
    own = in_partition(place, _WHAT, encode, part, *columns)
    return _Items(own.item_ids, len(own.counts), int(np.count_nonzero(own.counts)))


def _joined(left: _Items, right: _Items) -> _Items:
    """Return the sum of two parts."""
    if not left.n_rows or not right.n_rows:
        return left if left.n_rows else right
    ids = np.asarray(pd.factorize(np.concatenate([left.ids, right.ids]))[1])
    return _Items(ids, left.n_rows + right.n_rows, left.n_counted + right.n_counted)


def _encode_partition(
    part: pd.DataFrame,
    columns: tuple[str, str, str],
    items: pd.Index[Any],
    unknown: str,
    partition_info: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the users, columns and counts of a partition, and the position of each row."""
    place = partition_info["number"] if partition_info else 0
    users = part[columns[0]].reset_index(drop=True)
    if not len(part):
        codes, counts = np.empty(0, np.int32), np.empty(0)
    else:
        found = in_partition(place, _WHAT, encode, part, *columns)
        known = items.get_indexer(index_of(found.item_ids))
        if unknown == "error" and (known < 0).any():
            raise ValueError(
                f"Partition {place} of {_WHAT} names {int((known < 0).sum()):,} items that were "
                f"not seen in fit, such as {plain(found.item_ids[known < 0][0])!r}. Fit on them, "
                "or leave them out with unknown='ignore'."
            )
        codes = known[found.items].astype(np.int32)
        counts = found.counts
    position = (place << _ROW_BITS) + np.arange(len(part), dtype=np.int64)
    return pd.DataFrame({"user": users, "item": codes, "count": counts, "position": position})


def _rows_of_partition(part: pd.DataFrame, items: pd.Index[Any], dtype: np.dtype[Any]) -> UserRows:
    """Return the rows of the users of a shuffled partition, in order of first appearance.

    The shuffle mixes the rows of a user. In their own order, the sums of counts are those of a
    DataFrame in memory.
    """
    n_items = len(items)
    if not len(part):
        return UserRows(sp.csr_array((0, n_items), dtype=dtype), np.empty(0, object))
    part = part.sort_values("position", kind="stable")
    rows, users = numbered(part["user"], "user")
    codes, counts = part["item"].to_numpy(), part["count"].to_numpy()
    known = codes >= 0
    columns = IndexedInteractions(
        rows[known],
        codes[known].astype(np.intp),
        counts[known],
        dtype.type,
        users,
        items.to_numpy(),
    )
    check_sums(columns)
    return UserRows(to_csr(columns, n_items), users)
