"""The parts of partitioned rows, and the functions that tasks apply to one part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import column_squares, items_per_user
from shallow_ae._objective.objective import check_finite, sum_of_squares, unscaled_user_weights
from shallow_ae._objective.training_data import TrainingRows, own_rows
from shallow_ae._runtime.dask_graphs import Task, in_partition
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.matrices import checked_block


class PartSize(NamedTuple):
    """Sizes and sums of one partition of rows, which the client keeps."""

    n_rows: int
    n_entries: int
    dtype: np.dtype[Any]
    total_weight: float  # sum of the sample weights
    largest_weight: float
    most_items: float  # largest number of items of a user
    squared_lengths: float  # sum of the squares of the numbers of entries of the rows
    largest_value: float  # largest absolute value of an entry


class Part(NamedTuple):
    """The rows of one partition that have a weight in the objective, and these weights."""

    X: sp.csr_array[Any]
    weights: Array  # in the dtype of X; they sum to the number of rows over all partitions


class ItemSums(NamedTuple):
    """Sums over all rows, for each item."""

    counts: Array  # sum of the sample weights of the item's users
    squares: Array  # diagonal of the Gram matrix X'WX


def groups_of(parts: Sequence[Task], sizes: Sequence[int], least_bytes: int) -> list[list[Task]]:
    """Return consecutive parts in groups of at least `least_bytes`, except for the last group."""
    groups: list[list[Task]] = [[]]
    n_bytes = 0
    for part, size in zip(parts, sizes, strict=True):
        if n_bytes >= least_bytes:
            groups.append([])
            n_bytes = 0
        groups[-1].append(part)
        n_bytes += size
    return groups


def add_tuples(left: Any, right: Any) -> Any:
    """Return the sums of the arrays of two named tuples, one by one."""
    return type(left)(*(a + b for a, b in zip(left, right, strict=True)))


def stacked(parts: Sequence[Part]) -> Part:
    """Return the rows of several parts as one part."""
    if len(parts) == 1:
        return parts[0]
    X = sp.csr_array(sp.vstack([part.X for part in parts], format="csr"))
    return Part(X, np.concatenate([part.weights for part in parts]))


def read_block(
    estimator: Any, place: int, block: Any, sample_weight: Any, n_items: int
) -> TrainingRows:
    """Return the checked rows of a block with their sample weights; None means 1 for each."""
    X = in_partition(place, "X", checked_block, estimator, block, n_items)
    if not X.shape[0]:
        return TrainingRows(X, np.empty(0))
    what = "`sample_weight`"
    args = (check_sample_weight, sample_weight, X.shape[0])
    weights = in_partition(place, what, *args, may_be_zero=True)
    return own_rows(X, weights, block, sample_weight)


def places_like(
    rows: TrainingRows, number: int, sought: TrainingRows
) -> dict[tuple[bytes, ...], list[tuple[int, int]]]:
    """Return the partition and row of the rows that may be sought, by the key of the row."""
    rows = TrainingRows(rows.X.astype(sought.dtype, copy=False), rows.sample_weight)
    found = rows.rows_like(*sought)
    return {key: [(number, row) for row in places] for key, places in found.items()}


def size_of(rows: TrainingRows) -> PartSize:
    """Return the sizes and sums of a part that the client keeps."""
    return PartSize(
        rows.n_rows,
        rows.n_entries,
        rows.dtype,
        float(rows.sample_weight.sum()),
        float(rows.sample_weight.max(initial=0)),
        float(items_per_user(rows.X).max(initial=1)),
        float(np.square(np.diff(rows.X.indptr), dtype=np.float64).sum()),
        float(np.abs(rows.X.data).max(initial=0)),
    )


def sum_weights(rows: TrainingRows, user_exponent: float, units: tuple[float, int]) -> float:
    """Return the sum of the unscaled weights of the rows."""
    return float(unscaled_user_weights(*rows, user_exponent, *units).sum())


def weigh_part(
    rows: TrainingRows,
    user_exponent: float,
    units: tuple[float, int],
    factor: float,
    dtype: np.dtype[Any],
    keeps_all: bool,
) -> Part:
    """Return the rows with their weights in the objective: the unscaled weights times a factor."""
    weights = unscaled_user_weights(*rows, user_exponent, *units) * factor
    weights = weights.astype(dtype)
    check_finite("user_exponent", user_exponent, weights)
    X, counting = rows.X.astype(dtype, copy=False), weights > np.finfo(dtype).tiny
    if keeps_all or counting.all():
        return Part(X, weights)
    return Part(X[counting], weights[counting])


def square_part(part: Part) -> float:
    """Return the weighted sum of the squared lengths of the rows."""
    return sum_of_squares(*part)


def rows_of(rows: TrainingRows, own: NDArray[np.intp]) -> sp.csr_array[Any]:
    """Return the interactions of the rows with the given numbers."""
    return rows.X[own]


def count_items(rows: TrainingRows) -> Array:
    """Return the sum of the sample weights of each item's users."""
    return rows.item_counts


def sum_items(rows: TrainingRows, part: Part, n_items: int) -> ItemSums:
    """Return the sums over the rows for each item; `part` has the weights in the objective."""
    if not rows.n_rows:
        return ItemSums(np.zeros(n_items), np.zeros(n_items))
    return ItemSums(rows.item_counts, column_squares(*part).astype(np.float64))
