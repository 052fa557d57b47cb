"""Training rows in partitions on Dask workers, and sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import column_squares, items_per_user
from shallow_ae._objective.objective import check_finite, exponent_of, unscaled_user_weights
from shallow_ae._objective.training_data import TrainingRows, check_some_left, rows_to_remove
from shallow_ae._runtime.dask_graphs import (
    Task,
    computed,
    constant,
    in_partition,
    persisted,
    shared,
    task,
    tree_sum,
)
from shallow_ae._solvers.gradient_descent.sizes import layout_of
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.matrices import checked_block


class PartSize(NamedTuple):
    """What the client knows of one partition of rows."""

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


@dataclass(frozen=True, eq=False)
class PartitionedRows:
    """The training rows with their sample weights, in partitions that the workers keep.

    It is the counterpart of `TrainingRows`. `parts` are tasks whose results are TrainingRows.
    """

    parts: list[Task]
    sizes: list[PartSize]
    n_items: int

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return sum(size.n_rows for size in self.sizes)

    @property
    def n_entries(self) -> int:
        """Return how many numbers are stored."""
        return sum(size.n_entries for size in self.sizes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the data."""
        return np.result_type(*(size.dtype for size in self.sizes))

    @property
    def total_weight(self) -> float:
        """Return the sum of the sample weights."""
        return float(sum(size.total_weight for size in self.sizes))

    @property
    def item_counts(self) -> Array:
        """Return the sum of the sample weights of each item's users."""
        counts: Array = computed(
            [tree_sum([task(_item_counts, part) for part in self.parts], np.add)]
        )[0]
        return counts

    @property
    def part_bytes(self) -> list[int]:
        """Return the memory of the rows of each partition, in bytes."""
        itemsize = self.dtype.itemsize
        return [size.n_entries * (itemsize + 4) + size.n_rows * 4 for size in self.sizes]

    def check_total(self) -> None:
        """Raise a ValueError if there are no rows, or if all their sample weights are 0."""
        if not self.n_rows:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {self.n_items})) while a minimum of 1 is "
                "required."
            )
        if not 0 < self.total_weight < np.inf:
            raise ValueError(
                "`sample_weight` must be >= 0, not all zero, and have a finite sum, found a sum of "
                f"{self.total_weight}."
            )

    def weighted(self, user_exponent: float, *, keeps_all: bool = False) -> list[Task]:
        """Return tasks whose results are `Part`, for each partition.

        Rows without weight are left out, unless `keeps_all`.
        """
        units = self.weight_units
        totals = computed([task(_total_weight, part, user_exponent, units) for part in self.parts])
        with np.errstate(divide="ignore"):
            factor = self.n_rows / np.float64(sum(totals))
        check_finite("user_exponent", user_exponent, np.asarray([factor, sum(totals)]))
        settings = (user_exponent, units, factor, self.dtype, keeps_all)
        return persisted([task(_weighted_part, part, *settings) for part in self.parts])

    @property
    def weight_units(self) -> tuple[float, int]:
        """Return the most items of a user, and the exponent of the largest sample weight."""
        largest = np.asarray([size.largest_weight for size in self.sizes])
        return max(size.most_items for size in self.sizes), exponent_of(largest)

    def item_sums(self, parts: Sequence[Task]) -> ItemSums:
        """Return the sums for each item; `parts` are the results of `weighted`."""
        sums = [
            task(_item_sums, rows, part, self.n_items)
            for rows, part in zip(self.parts, parts, strict=True)
        ]
        return ItemSums(*computed([tree_sum(sums, add_tuples)])[0])

    def gathered(self) -> TrainingRows:
        """Return all rows in the memory of the client."""
        parts = computed(self.parts)
        X = sp.csr_array(sp.vstack([part.X for part in parts], format="csr"))
        return TrainingRows(X, np.concatenate([part.sample_weight for part in parts]))

    def batch_layout(self, backend: str) -> str:
        """Return the form of minibatches with faster products, "sparse" or "dense"."""
        return layout_of(self.n_entries / (self.n_rows * self.n_items), backend)

    def split(self, rows: NDArray[np.intp]) -> tuple[sp.csr_array[Any], PartitionedRows]:
        """Return the rows of these numbers in memory, in rising order, and the other rows."""
        rows = np.sort(rows)
        ends = np.cumsum([size.n_rows for size in self.sizes])
        cuts = np.searchsorted(rows, ends[:-1])
        of_parts = [part - end for part, end in zip(np.split(rows, cuts), [0, *ends], strict=False)]
        pairs = list(zip(self.parts, of_parts, strict=True))
        taken = [task(_rows_of_part, part, own) for part, own in pairs]
        X = sp.csr_array(sp.vstack(computed(taken), format="csr"))
        others = [task(TrainingRows.without, part, own) for part, own in pairs]
        return X.astype(self.dtype), sized(others, self.n_items)

    def plus(self, other: PartitionedRows) -> PartitionedRows:
        """Return these rows and others."""
        return replace(self, parts=self.parts + other.parts, sizes=self.sizes + other.sizes)

    def minus(self, X: sp.csr_array[Any], sample_weight: Array) -> PartitionedRows:
        """Return the rows without the rows of X; raise an error if one is missing."""
        X = X.astype(self.dtype, copy=False)
        sought = shared(TrainingRows(X, sample_weight))
        places: dict[tuple[bytes, ...], list[tuple[int, int]]] = {}
        for found in computed(
            [task(_places_like, part, n, sought) for n, part in enumerate(self.parts)]
        ):
            for key, rows in found.items():
                places.setdefault(key, []).extend(rows)
        rows_of_part: dict[int, list[int]] = {}
        for number, row in rows_to_remove(places, X, sample_weight, self.n_rows):
            rows_of_part.setdefault(number, []).append(row)
        parts = list(self.parts)
        for number, rows in rows_of_part.items():
            parts[number] = task(TrainingRows.without, parts[number], rows)
        rest = sized(parts, self.n_items)
        check_some_left(rest.total_weight > 0)
        return rest


def read_rows(
    estimator: Any, blocks: Sequence[Task], weights: Sequence[Any], n_items: int
) -> PartitionedRows:
    """Check blocks of rows and their sample weights on the workers, which keep them.

    `estimator`, which is not fitted, is named in errors. `weights` has an array or a task for each
    block; None means 1 for each row.
    """
    of_whom = constant(estimator)
    parts = [
        task(_read_block, of_whom, place, block, weight, n_items)
        for place, (block, weight) in enumerate(zip(blocks, weights, strict=True))
    ]
    return sized(parts, n_items)


def rows_in_memory(X: sp.csr_array[Any], sample_weight: Array) -> PartitionedRows:
    """Return checked rows that are in the client's memory as one partition."""
    return sized([constant(TrainingRows(X, sample_weight))], X.shape[1])


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


def sized(parts: list[Task], n_items: int) -> PartitionedRows:
    """Return training rows, given tasks whose results are the TrainingRows of the partitions."""
    kept = persisted(parts)
    return PartitionedRows(kept, computed([task(_size_of, part) for part in kept]), n_items)


def _read_block(
    estimator: Any, place: int, block: Any, sample_weight: Any, n_items: int
) -> TrainingRows:
    X = in_partition(place, "X", checked_block, estimator, block, n_items)
    if not X.shape[0]:
        return TrainingRows(X, np.empty(0))
    what = "`sample_weight`"
    args = (check_sample_weight, sample_weight, X.shape[0])
    return TrainingRows(X, in_partition(place, what, *args, may_be_zero=True))


def _places_like(
    rows: TrainingRows, number: int, sought: TrainingRows
) -> dict[tuple[bytes, ...], list[tuple[int, int]]]:
    """Return the partition and row of the rows that may be sought, by the key of the row."""
    rows = TrainingRows(rows.X.astype(sought.dtype, copy=False), rows.sample_weight)
    found = rows.rows_like(*sought)
    return {key: [(number, row) for row in places] for key, places in found.items()}


def _size_of(rows: TrainingRows) -> PartSize:
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


def _total_weight(rows: TrainingRows, user_exponent: float, units: tuple[float, int]) -> float:
    return float(unscaled_user_weights(*rows, user_exponent, *units).sum())


def _weighted_part(
    rows: TrainingRows,
    user_exponent: float,
    units: tuple[float, int],
    factor: float,
    dtype: np.dtype[Any],
    keeps_all: bool,
) -> Part:
    weights = unscaled_user_weights(*rows, user_exponent, *units) * factor
    weights = weights.astype(dtype)
    check_finite("user_exponent", user_exponent, weights)
    X, counting = rows.X.astype(dtype, copy=False), weights > np.finfo(dtype).tiny
    if keeps_all or counting.all():
        return Part(X, weights)
    return Part(X[counting], weights[counting])


def _rows_of_part(rows: TrainingRows, own: NDArray[np.intp]) -> sp.csr_array[Any]:
    return rows.X[own]


def _item_counts(rows: TrainingRows) -> Array:
    return rows.item_counts


def _item_sums(rows: TrainingRows, part: Part, n_items: int) -> ItemSums:
    if not rows.n_rows:
        return ItemSums(np.zeros(n_items), np.zeros(n_items))
    return ItemSums(rows.item_counts, column_squares(*part).astype(np.float64))
