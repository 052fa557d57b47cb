"""Training data kept for `partial_fit` and `forget`: the rows, or their Gram matrix.

A model keeps the Gram matrix if it is not larger than the rows. Both types are immutable: an update
returns new training data, and an update that fails leaves the model's training data unchanged.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._objective.objective import item_counts, mean_squared_length, user_weights
from shallow_ae._objective.training_gram import (
    GRAM_DTYPE,
    TrainingGram,
    gram_of,
    keeps_gram,
)
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_some_left

_Place = TypeVar("_Place")


class TrainingRows(NamedTuple):
    """The training rows with their sample weights."""

    X: sp.csr_array[Any]
    sample_weight: Array

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return int(self.X.shape[0])

    @property
    def n_entries(self) -> int:
        """Return how many numbers are stored."""
        return int(self.X.nnz)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the data."""
        return self.X.dtype

    @property
    def item_counts(self) -> Array:
        """Return the sum of the sample weights of each item's users."""
        return item_counts(self.X, self.sample_weight)

    @property
    def total_weight(self) -> float:
        """Return the sum of the sample weights."""
        return float(self.sample_weight.sum())

    def mean_squared_length(self, user_exponent: float) -> float:
        """Return the mean of w_u ||x_u||^2 over the users, for weights w_u with mean 1."""
        return mean_squared_length(*self.weighted(user_exponent))

    def weighted(self, user_exponent: float) -> tuple[sp.csr_array[Any], Array]:
        """Return the rows with nonzero weights, and these weights, which sum to `n_rows`."""
        weights = user_weights(self.X, self.sample_weight, user_exponent)
        counting = weights > np.finfo(weights.dtype).tiny  # then 1 / w is finite
        return (self.X, weights) if counting.all() else (self.X[counting], weights[counting])

    def learn(
        self, X: sp.csr_array[Any], sample_weight: Array, user_exponent: float
    ) -> TrainingData:
        """Return the training data with rows added."""
        return rows_or_gram(self.plus(X, sample_weight), user_exponent)

    def forget(
        self, X: sp.csr_array[Any], sample_weight: Array, user_exponent: float
    ) -> TrainingData:
        """Return the training data without the rows of X, each of which must be a training row."""
        return rows_or_gram(self.minus(X, sample_weight), user_exponent)

    def plus(self, X: sp.csr_array[Any], sample_weight: Array) -> TrainingRows:
        """Return the training rows with the rows of X appended."""
        both = sp.csr_array(sp.vstack([self.X, X], format="csr"))
        return TrainingRows(both, np.concatenate([self.sample_weight, sample_weight]))

    def with_items(self, n_items: int) -> TrainingRows:
        """Return the rows with further items, which have no users."""
        X = self.X
        wide = sp.csr_array((X.data, X.indices, X.indptr), (self.n_rows, n_items))
        return self._replace(X=wide)

    def minus(self, X: sp.csr_array[Any], sample_weight: Array) -> TrainingRows:
        """Return the training rows without the rows of X; raise an error if one is missing."""
        X = X.astype(self.X.dtype, copy=False)
        places = self.rows_like(X, sample_weight)
        rest = self.without(rows_to_remove(places, X, sample_weight, self.n_rows))
        check_some_left(bool(rest.sample_weight.any()))
        return rest

    def rows_like(
        self, X: sp.csr_array[Any], sample_weight: Array
    ) -> dict[tuple[bytes, ...], list[int]]:
        """Return the rows that may equal rows of X, by a key that only equal rows share."""
        sought, known = _row_hashes(X, sample_weight), _row_hashes(self.X, self.sample_weight)
        rows_of_key: dict[tuple[bytes, ...], list[int]] = {}
        for row in np.flatnonzero(np.isin(known, sought, kind="sort")).tolist():
            rows_of_key.setdefault(_row_key(self.X, self.sample_weight, row), []).append(row)
        return rows_of_key

    def without(self, rows: list[int] | NDArray[np.intp]) -> TrainingRows:
        """Return the training rows without the rows of these numbers."""
        kept = np.ones(self.n_rows, dtype=bool)
        kept[rows] = False
        return TrainingRows(self.X[kept], self.sample_weight[kept])


TrainingData: TypeAlias = TrainingRows | TrainingGram


def own_rows(
    X: sp.csr_array[Any], sample_weight: Array, given_X: Any, given_weight: Any
) -> TrainingRows:
    """Return checked rows in arrays that the caller cannot change.

    They are copied if they share memory with the caller's arguments or are views of other arrays.
    """
    is_shared = X.data.base is not None
    if isinstance(given_X, sp.csr_array | sp.csr_matrix):
        names = ("data", "indices", "indptr")
        is_shared |= any(np.may_share_memory(getattr(X, n), getattr(given_X, n)) for n in names)
    weights = sample_weight if given_weight is None else sample_weight.copy()
    return TrainingRows(X.copy() if is_shared else X, weights)


def training_data(
    X: sp.csr_array[Any],
    sample_weight: Array,
    user_exponent: float,
    given_X: Any,
    given_weight: Any,
) -> TrainingData:
    """Return a model's training data for checked rows, in arrays that the caller cannot change."""
    if keeps_gram(X.nnz, X.shape[1]):
        return gram_of(X, sample_weight, user_exponent, GRAM_DTYPE)
    return own_rows(X, sample_weight, given_X, given_weight)


def rows_or_gram(rows: TrainingRows, user_exponent: float) -> TrainingData:
    """Return the smaller of the rows and their Gram matrix."""
    if not keeps_gram(rows.n_entries, rows.X.shape[1]):
        return rows
    return gram_of(*rows, user_exponent, GRAM_DTYPE)


def rows_to_remove(
    rows_of_key: dict[tuple[bytes, ...], list[_Place]],
    X: sp.csr_array[Any],
    sample_weight: Array,
    n_rows: int,
) -> list[_Place]:
    """Return the place of one of `n_rows` training rows for each row of X.

    The places are taken out of `rows_of_key`.

    Raises
    ------
    ValueError
        If a row of X has no training row left that equals it.
    """
    taken = []
    for row in range(X.shape[0]):
        found = rows_of_key.get(_row_key(X, sample_weight, row))
        if not found:
            raise ValueError(
                f"Row {row} of X, with {X.indptr[row + 1] - X.indptr[row]} items and the sample "
                f"weight {sample_weight[row]:g}, is not among the {n_rows:,} training rows, or "
                "X repeats it more often. Pass rows and sample weights exactly as they were passed "
                "to `fit` or `partial_fit`. Nothing was forgotten."
            )
        taken.append(found.pop())
    return taken


def _row_hashes(X: sp.csr_array[Any], sample_weight: Array) -> Array:
    """Return a hash of each row; equal rows have equal hashes."""
    words = X.data.view(f"u{X.dtype.itemsize}").astype(np.uint64)
    words = (words + 1) * (2 * X.indices.astype(np.uint64) + 0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(29)
    sums = np.concatenate([[np.uint64(0)], np.cumsum(words * words, dtype=np.uint64)])
    weights = sample_weight.view(f"u{sample_weight.dtype.itemsize}").astype(np.uint64)
    return np.asarray(sums[X.indptr[1:]] - sums[X.indptr[:-1]] + weights)


def _row_key(X: sp.csr_array[Any], sample_weight: Array, row: int) -> tuple[bytes, ...]:
    entries = slice(X.indptr[row], X.indptr[row + 1])
    weight = sample_weight[row : row + 1].tobytes()
    return X.indices[entries].astype(np.int64).tobytes(), X.data[entries].tobytes(), weight
