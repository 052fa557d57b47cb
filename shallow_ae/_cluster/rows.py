"""Training rows in partitions on Dask workers, and sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._cluster.parts import (
    ItemSums,
    PartSize,
    add_tuples,
    count_items,
    places_like,
    read_block,
    rows_of,
    size_of,
    square_part,
    sum_items,
    sum_weights,
    weigh_part,
)
from shallow_ae._objective.objective import check_finite, exponent_of
from shallow_ae._objective.training_data import TrainingRows, rows_to_remove
from shallow_ae._runtime.dask_graphs import (
    Task,
    computed,
    constant,
    persisted,
    shared,
    task,
    tree_sum,
)
from shallow_ae._solvers.gradient_descent.sizes import layout_of
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_some_left


@dataclass(frozen=True, eq=False)
class PartitionedRows:
    """The training rows with their sample weights, in partitions that the workers keep.

    It is the counterpart of `TrainingRows`. `parts` are tasks whose results are TrainingRows.
    """

    parts: list[Task]
    sizes: list[PartSize]
    n_items: int

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as None, because tasks have no meaning without their workers."""
        return _no_rows, ()

    def __deepcopy__(self, memo: Any) -> PartitionedRows:
        """Return this object, which never changes."""
        return self

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
            [tree_sum([task(count_items, part) for part in self.parts], np.add)]
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
        totals = computed([task(sum_weights, part, user_exponent, units) for part in self.parts])
        with np.errstate(divide="ignore"):
            factor = self.n_rows / np.float64(sum(totals))
        check_finite("user_exponent", user_exponent, np.asarray([factor, sum(totals)]))
        settings = (user_exponent, units, factor, self.dtype, keeps_all)
        return persisted([task(weigh_part, part, *settings) for part in self.parts])

    def mean_squared_length(self, user_exponent: float) -> float:
        """Return the mean of w_u ||x_u||^2 over the users, for weights w_u with mean 1."""
        parts = self.weighted(user_exponent)
        return float(sum(computed([task(square_part, part) for part in parts]))) / self.n_rows

    @property
    def weight_units(self) -> tuple[float, int]:
        """Return the most items of a user, and the exponent of the largest sample weight."""
        largest = np.asarray([size.largest_weight for size in self.sizes])
        return max(size.most_items for size in self.sizes), exponent_of(largest)

    def item_sums(self, parts: Sequence[Task]) -> ItemSums:
        """Return the sums for each item; `parts` are the results of `weighted`."""
        sums = [
            task(sum_items, rows, part, self.n_items)
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
        """Return the rows with the given numbers, in memory and in order, and the other rows."""
        rows = np.sort(rows)
        ends = np.cumsum([size.n_rows for size in self.sizes])
        cuts = np.searchsorted(rows, ends[:-1])
        of_parts = [part - end for part, end in zip(np.split(rows, cuts), [0, *ends], strict=False)]
        pairs = list(zip(self.parts, of_parts, strict=True))
        taken = [task(rows_of, part, own) for part, own in pairs]
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
            [task(places_like, part, n, sought) for n, part in enumerate(self.parts)]
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
        task(read_block, of_whom, place, block, weight, n_items)
        for place, (block, weight) in enumerate(zip(blocks, weights, strict=True))
    ]
    return sized(parts, n_items)


def rows_in_memory(X: sp.csr_array[Any], sample_weight: Array) -> PartitionedRows:
    """Return checked rows that are in the client's memory as one partition."""
    return sized([constant(TrainingRows(X, sample_weight))], X.shape[1])


def sized(parts: list[Task], n_items: int) -> PartitionedRows:
    """Return training rows, given tasks whose results are the TrainingRows of the partitions."""
    kept = persisted(parts)
    return PartitionedRows(kept, computed([task(size_of, part) for part in kept]), n_items)


def _no_rows() -> None:
    return None
